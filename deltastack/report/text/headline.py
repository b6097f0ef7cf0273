"""What the whole stack saves and whether the product rule agrees, one sentence a bench and operating point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack import formatting
from deltastack.amounts import moved, per
from deltastack.evaluation.delta_summary import far
from deltastack.outcomes import Formula, Resolution, Verdict
from deltastack.report.text.deciding import by_draws

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.analysis.analysis import Analysis, FactorialAnalysis
    from deltastack.analysis.formula_totals import Total
    from deltastack.analysis.sample_size import SampleSize
    from deltastack.report.context import Swing
    from deltastack.statistics import Estimate

ONE_START = "one process start"
RULE = {
    Verdict.HOLDS: "the product rule holds",
    Verdict.FAILS: "the product rule fails",
    Verdict.UNDECIDED: "the product rule is undecided",
    Verdict.INDICATIVE: "indicative, so the product rule is neither right nor wrong",
}


def headline(analysis: Analysis, swings: Sequence[Swing] = ()) -> list[str]:
    """One sentence a bench, at its headline operating point."""
    said = [sentence(analysis, a, swings) for a in analysis.headlines if a.at_headline]
    return said or ["No result yet: no resource has a full factorial at the headline operating point."]


def others(analysis: Analysis, swings: Sequence[Swing] = ()) -> list[str]:
    """The same of the other operating points."""
    return [sentence(analysis, a, swings) for a in analysis.headlines if not a.at_headline]


def sentence(analysis: Analysis, a: FactorialAnalysis, swings: Sequence[Swing] = ()) -> str:
    """What all layers together save, and what the product of the single savings predicts.

    Args:
        analysis: All of it.
        a: What is spoken of.
        swings: Sensitivities: they name what decides a verdict that hangs on parameters.
    """
    f, layers = a.factorial, " + ".join(a.factorial.layers).replace("_", " ")
    resource = formatting.resource(f.bench, f.resource)
    if a.joint is None:
        return f"{layers}: no result for {resource} ({a.totals[Formula.JOINT].reason})."
    observed = _observed(a, a.joint)
    if len(f.layers) == 1:
        return f"{observed}. One layer alone: there is nothing to compose."
    product = a.totals[Formula.INDEPENDENT]
    if product.saving is None or product.gap is None or product.verdict is None:
        return f"{observed}. The product rule has no result ({product.reason})."
    gap = product.gap
    ends = "" if gap.low is None else f" {formatting.ends(gap[1:3], draws=gap.draws)}"
    predicts = (
        f"their product predicts {formatting.change(product.saving.value)}, a gap of {formatting.points(product.gap.value)}{ends}"
    )
    if product.held_in is not None:
        return f"{observed}; {predicts}: {by_draws(product, gap.draws or 0, analysis, a, swings)}."
    return f"{observed}; {predicts}: {RULE[product.verdict]}{_because(product)}{decided_by(analysis, a, product)}."


def _because(product: Total) -> str:
    """Why nothing is called right or wrong; empty for a verdict."""
    return f" ({product.reason})" if product.verdict is Verdict.INDICATIVE else ""


def _observed(a: FactorialAnalysis, joint: Estimate) -> str:
    """What all layers together do, if that is resolved."""
    f, start = a.factorial, ONE_START if a.factorial.one_start else ""
    known = ", ".join(filter(None, (f"{f.bench} bench", str(f.evidence), start, formatting.floor_note(a.noise_floor))))
    but = f", but {a.caveat}" if a.caveat else ""
    what = f"of {formatting.resource(f.bench, f.resource)} {formatting.OPERATING_POINT[f.operating_point]} ({known}){but}"
    layers = " + ".join(f.layers).replace("_", " ")
    if a.resolution is Resolution.NOT_RESOLVED:
        ends = formatting.ends(joint[1:3], draws=joint.draws)
        return f"{layers}: a saving {what} is not resolved, {formatting.percent(joint.value)} {ends}"
    if a.resolution is Resolution.NO_CHANGE:
        return f"{layers} changes nothing {what}"
    size = moved(f, joint.value).removesuffix(f" {per(f)}") if far(joint.value) else _size(joint)
    return f"{layers} {a.resolution} {size} {what}"


def _size(joint: Estimate) -> str:
    """How much is saved or spent, without a sign, and its interval.

    >>> from deltastack.statistics import Estimate
    >>> _size(Estimate(-0.2, -0.25, -0.1)), _size(Estimate(0.2, None, None))
    ('20.0 % [10.0, 25.0]', '20.0 %')
    >>> _size(Estimate(-0.2, -0.25, -0.1, 20))
    '20.0 % (range of 20 draws: 10.0 to 25.0)'
    """
    sign = 1 if joint.value > 0 else -1
    size, *ends = (f"{100 * sign * x:.1f}" for x in joint[:3] if x is not None)
    if not ends:
        return f"{size} %"
    low, high = ends[::sign]
    return f"{size} % {formatting.between(low, high, joint.draws)}"


def decided_by(analysis: Analysis, a: FactorialAnalysis, product: Total) -> str:
    """What would decide an undecided verdict; empty for one that is decided, or without an interval."""
    if product.verdict is not Verdict.UNDECIDED or product.gap is None or product.gap.low is None:
        return ""
    tolerance = analysis.stack.tolerance
    if a.outlook is None:
        return ""
    told = f"{_run(a.outlook.at_tolerance)} would decide at ±{100 * tolerance:.1f} points"
    if a.outlook.at_gap is not None:
        told += f", {_run(a.outlook.at_gap)} that it {'fails' if abs(product.gap.value) > tolerance else 'holds'} at this gap"
    budget = a.outlook.long_budget_s
    return f" ({told})" if budget is None else f" ({told}; BUDGET=long has {budget / 60:.0f})"


def _run(n: SampleSize) -> str:
    return f"about {n.blocks:,} blocks" if n.minutes is None else f"about {max(1, round(n.minutes)):,} minutes of runs"
