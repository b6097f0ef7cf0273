"""Numbers out of other people's JSON: typed, or refused in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from deltastack.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "s/token": 1.0, "ms/token": 1e-3}
RATES = {
    "requests/sec": 1.0,
    "tokens/sec": 1.0,
    "tokens/s": 1.0,
    "queries/s": 1.0,
    "requests/s": 1.0,
    "req/s": 1.0,
    "tok/s": 1.0,
}
_SHOWN = 40


def number(value: Any, name: str) -> float | None:
    """A number; None where nothing was written, or NaN.

    Raises:
        InputError: Something else than a number, or one that no double holds.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{name} is {str(value)[:_SHOWN]!r}; wanted a number")
    try:
        found = float(value)
    except OverflowError:
        raise InputError(f"{name} has {len(str(abs(value)))} digits; wanted a number that can be a reading") from None
    return None if math.isnan(found) else found


def positive(value: Any, name: str) -> float | None:
    """A number above 0; None where it is 0 or less, which stands for what was not observed.

    Raises:
        InputError: As ``number``.
    """
    found = number(value, name)
    return found if found is not None and 0 < found < math.inf else None


def inverse(value: Any, name: str) -> float | None:
    """1 / rate: what a unit of work takes."""
    rate = positive(value, name)
    return None if rate is None else 1 / rate


def scaled(value: Any, name: str, factor: float) -> float | None:
    """A number in another unit."""
    found = positive(value, name)
    return None if found is None else found * factor


def in_unit(block: Any, name: str, factors: Mapping[str, float], *, at: str = "avg", unit: str = "unit") -> float | None:
    """A reading with its unit beside it, in our unit; None where there is no reading.

    Raises:
        InputError: No number, or a unit that is not known.
    """
    if not isinstance(block, dict) or block.get(at) is None:
        return None
    written = str(block.get(unit, ""))
    if written not in factors:
        tool = "an llm-d" if unit == "units" else "an AIPerf"
        raise InputError(f"{name}: unit '{written[:_SHOWN]}' of {tool} metric is not known; known are: {', '.join(factors)}")
    return scaled(block[at], name, factors[written])


def inside(value: Any, *names: str | int) -> Any:
    """``value[a][b]...``; None where a step is not there."""
    for name in names:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and isinstance(name, int) and 0 <= name < len(value):
            value = value[name]
        else:
            return None
    return value


def rows(value: Any, *names: str | int) -> list[Json]:
    """The objects of a list that lies ``inside``; nothing where there is no list."""
    found = inside(value, *names)
    return [x for x in found if isinstance(x, dict)] if isinstance(found, list) else []


def plain(value: Any) -> str | float | None:
    """A condition as text or number; None where it is neither."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return str(value) if isinstance(value, bool) else None
    return value


def kept(found: Mapping[str, float | None]) -> dict[str, float]:
    """What was read."""
    return {q: v for q, v in found.items() if v is not None}
