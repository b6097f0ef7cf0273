"""What decides a verdict on a model whose parameters are drawn: in how many draws it holds, and what moves savings most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.outcomes import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.analysis.analysis import Analysis, FactorialAnalysis
    from deltastack.analysis.formula_totals import Total
    from deltastack.report.context import Swing

NAMED = 3
"""Parameters that are named at most."""
LEAST = 0.001
"""A parameter that moves a saving by less is not named."""


def by_draws(product: Total, draws: int, analysis: Analysis, a: FactorialAnalysis, swings: Sequence[Swing]) -> str:
    """The verdict on the product rule, and what decides it where its draws differ."""
    held = f"holds in {product.held_in} of {draws} draws (within ±{100 * analysis.stack.tolerance:.1f} points)"
    if product.verdict is Verdict.HOLDS:
        return f"the product rule {held}"
    if product.verdict is Verdict.FAILS:
        return f"the product rule fails: it {held}"
    most = movers(swings, analysis, a)
    where = f"; savings hang most on {most}" if most else "; params/layers and params/fleet.yaml have their ranges"
    return f"the product rule {held}, so the parameters decide{where}"


def movers(swings: Sequence[Swing], analysis: Analysis, a: FactorialAnalysis) -> str:
    """The parameters of enabled techniques that move a saving most over their ranges, with the points by which they do."""
    f = a.factorial
    on = {(layer, t) for layer, by_bench in analysis.enabled_techniques.items() for t in by_bench.get(f.bench, ())}
    place = (f.bench, f.operating_point, f.resource)
    mine = [s for s in swings if (s.bench, s.operating_point, s.resource) == place and (s.layer, s.technique) in on]
    found = sorted(
        (s for s in mine if abs(s.high - s.low) >= LEAST), key=lambda s: (-abs(s.high - s.low), s.technique, s.parameter)
    )
    return ", ".join(f"{s.technique}.{s.parameter} ({100 * abs(s.high - s.low):.1f} points)" for s in found[:NAMED])
