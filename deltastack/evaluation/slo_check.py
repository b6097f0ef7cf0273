"""Which cells miss the latency goals at the trace's own arrivals: what they save, they save by serving late."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from deltastack.model import OperatingPoint, Usage


class Missed(NamedTuple):
    """One cell on one basis, late in some draws."""

    cell: str
    operating_point: OperatingPoint
    draws: int
    """In how many it is late."""
    of: int
    words: str
    """What is missed in the first of them."""


def missed(found: Iterable[tuple[str, Mapping[OperatingPoint, Usage] | str]]) -> list[Missed]:
    """Cells that are late in at least one draw, in order of appearance.

    Args:
        found: Name of a cell and its usage, or why it does not hold, once a draw.
    """
    late: dict[tuple[str, OperatingPoint], list[str]] = {}
    draws: dict[str, int] = {}
    for name, usage in found:
        if isinstance(usage, str):
            continue
        draws[name] = draws.get(name, 0) + 1
        for operating_point, one in usage.items():
            if one.missed:
                late.setdefault((name, operating_point), []).append("; ".join(one.missed))
    return [Missed(name, operating_point, len(said), draws[name], said[0]) for (name, operating_point), said in late.items()]
