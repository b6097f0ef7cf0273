"""Which pair of layers breaks the product, in a sentence: by how much, and whether that is sure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from deltastack.report.figures.pairs import sure
from deltastack.report.text import formatting

if TYPE_CHECKING:
    from deltastack.analysis.attribution import Pair
    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.results import Results


def breakers(results: Results) -> list[str]:
    """One sentence a spoken factorial: which pair breaks the product, or that none does by more than the tolerance."""
    return [_of(results, f).replace("_", " ") for f in formatting.spoken(results) if len(f.layers) > 1]


def _of(results: Results, f: Factorial) -> str:
    where = f"{formatting.resource(f.bench, f.resource)}, {f.bench} bench {f.operating_point}"
    return f"{where}: {breaker(results.pairs(f), results.stack.tolerance)}"


def breaker(pairs: list[Pair], tolerance: float) -> str:
    """The strongest of the pairs whose sign is sure.

    Args:
        pairs: Strongest interaction first.
        tolerance: A pair breaks the product if it uses more or less than the product says by more than this fraction.
    """
    if not pairs:
        return "some set of layers spends nothing, and 0 has no logarithm."
    certain = [p for p in pairs if sure(p)]
    strongest = next(iter(certain), pairs[0])
    if certain and abs(math.expm1(strongest.interaction.value)) > tolerance:
        return f"{_together(strongest)}."
    if certain:
        return f"no pair surely breaks the product by more than {100 * tolerance:g} %: the strongest, {_together(strongest)}."
    return f"no pair surely breaks the product: of the strongest the sign cannot be told; {_together(strongest)}."


def _together(p: Pair) -> str:
    """What a pair does beside the product of its two savings; e to the log interaction is the factor on what is used."""
    e, more = p.interaction, math.expm1(p.interaction.value)
    does = f"use {abs(more):.1%} {'more' if more > 0 else 'less'} together than the product says".replace("%", " %")
    ends = f" [{e.low:+.3f}, {e.high:+.3f}]" if e.low is not None else ""
    adjusted = f"; over all settings of the others, Holm p {p.p_holm:.2g}" if p.p_holm is not None else ""
    return f"{p.first} and {p.second} {does} (log interaction {e.value:+.3f}{ends}{adjusted})"
