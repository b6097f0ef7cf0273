"""Which pair of layers breaks the product rule, in a sentence: by how much, and whether that is sure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from deltastack import formatting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.analysis.analysis import Analysis, FactorialAnalysis
    from deltastack.analysis.attribution import Pair


def interactions(analysis: Analysis) -> list[str]:
    """One sentence a headline factorial: which pair breaks the product rule, or that none does by more than the tolerance."""
    tolerance = analysis.stack.tolerance
    return [_of(a, tolerance).replace("_", " ") for a in analysis.headlines if len(a.factorial.layers) > 1]


def _of(a: FactorialAnalysis, tolerance: float) -> str:
    f = a.factorial
    return f"{formatting.resource(f.bench, f.resource)}, {f.bench} bench {f.operating_point}: {strongest(a.pairs, tolerance)}"


def strongest(pairs: Sequence[Pair], tolerance: float) -> str:
    """The strongest of the pairs whose sign is sure.

    Args:
        pairs: Strongest interaction first.
        tolerance: A pair breaks the product rule if it uses more or less than the product by more than this fraction.
    """
    if not pairs:
        return "some set of layers spends nothing, and 0 has no logarithm."
    certain = [p for p in pairs if p.sure]
    first = next(iter(certain), pairs[0])
    if certain and abs(math.expm1(first.interaction.value)) > tolerance:
        return f"{_together(first)}."
    if certain:
        return f"no pair surely breaks the product rule by more than {100 * tolerance:g} %: the strongest, {_together(first)}."
    return f"no pair surely breaks the product rule; the sign of the strongest is not certain: {_together(first)}."


def _together(p: Pair) -> str:
    """How a pair differs from the product of its two savings; e to the log interaction is the factor on what is used."""
    e, more = p.interaction, math.expm1(p.interaction.value)
    does = f"use {abs(more):.1%} {'more' if more > 0 else 'less'} together than the product predicts".replace("%", " %")
    ends = f" [{e.low:+.3f}, {e.high:+.3f}]" if e.low is not None else ""
    adjusted = f"; over all settings of the others, Holm p {p.p_holm:.2g}" if p.p_holm is not None else ""
    return f"{p.first} and {p.second} {does} (log interaction {e.value:+.3f}{ends}{adjusted})"
