"""Amounts instead of percentages where a Δ is beyond ten times its base, and the order of rows: losses first, these last.

A loss of 124,000 % says that the base was next to nothing, not that the loss is large. Where more than ten times the base
is spent (``far``), pages print what was spent before and after; tables of data keep the fraction, never clipped.

Source: this project, decision 0007.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from deltastack.evaluation.delta_summary import far
from deltastack.model import Resource

if TYPE_CHECKING:
    from deltastack.analysis.factorial import Factorial

UNITS = {
    Resource.TIME_S: "s",
    Resource.ENERGY_J: "J",
    Resource.MEMORY_BYTE_S: "B s",
    Resource.IO_BYTE: "B",
    Resource.COST_USD: "USD",
    Resource.CARBON_G: "g",
    Resource.CPU_S: "s",
    Resource.INSTRUCTIONS: "",
}
_PREFIXES = {-3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T", 5: "P"}
_THREE_DIGITS = 100


def losses_first(*deltas: float | None) -> tuple[bool, bool, float]:
    """The key of a row's place: the least saving first, then rows that are ``far``, then those without a number.

    >>> sorted([None, 0.2, -20.0, -0.1], key=losses_first)
    [-0.1, 0.2, -20.0, None]
    """
    known = [d for d in deltas if d is not None and not math.isnan(d)]
    return len(known) < len(deltas), any(map(far, known)), min(known, default=0.0)


def base_of(f: Factorial) -> float:
    """What is spent with nothing on: at the central values, or the mean over blocks."""
    base = f.totals[0]
    return float(base[0] if f.drawn else base.mean())


def per(f: Factorial) -> str:
    """Of what the amounts are."""
    return "per request" if f.drawn else "per session"


def amount(value: float, resource: Resource) -> str:
    """An amount with its unit and three digits.

    >>> amount(77_310.0, Resource.IO_BYTE), amount(9.6e10, Resource.IO_BYTE), amount(0.0, Resource.ENERGY_J)
    ('77.3 kB', '96 GB', '0 J')
    >>> amount(-1234.5, Resource.COST_USD), amount(0.0012, Resource.TIME_S)
    ('-1,234 USD', '1.2 ms')
    """
    unit = UNITS[resource]
    power = 0 if value == 0 or resource is Resource.COST_USD else math.floor(math.log10(abs(value)) / 3)
    power = min(max(power, min(_PREFIXES)), max(_PREFIXES))
    scaled = value / 1000.0**power
    digits = f"{scaled:,.0f}" if abs(scaled) >= _THREE_DIGITS else f"{scaled:.3g}"
    return f"{digits} {_PREFIXES[power]}{unit}".rstrip()


def moved(f: Factorial, delta: float) -> str:
    """From the base to what is spent after a saving of ``delta``: ``77.3 kB → 96 GB per request``."""
    base = base_of(f)
    return f"{amount(base, f.resource)} → {amount(base * (1 - delta), f.resource)} {per(f)}"


def extra(f: Factorial, delta: float) -> str:
    """What a saving of ``delta`` spends more (+) or less (-) than the base."""
    value = -delta * base_of(f)
    return f"{'+' if value > 0 else ''}{amount(value, f.resource)}"
