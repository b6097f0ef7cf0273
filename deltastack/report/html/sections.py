"""What the parts of the page are made of: plain rows of words and numbers for the template."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from deltastack import formatting
from deltastack.analysis.negative_controls import ORDER
from deltastack.composition import compound, modules_needed, published_gap
from deltastack.outcomes import Formula, Verdict
from deltastack.report.html.table_rows import head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.analysis.analysis import Analysis
    from deltastack.claims import Finding
    from deltastack.composition import PublishedCase
    from deltastack.recording import Outcome
    from deltastack.recording.predictions import Beside

MODULES = 12
HALVED, FIFTH = -0.5, -0.2


def amdahl(analysis: Analysis) -> list[dict[str, Any]]:
    """What each layer touches and at most saves, of the headline resource; simulated only, noise would touch everything."""
    return [
        head(a.factorial)
        | {
            "layer": layer.share.layer.replace("_", " "),
            "touches": ", ".join(layer.ceiling.touches) or "nothing",
            "ceiling": formatting.percent(layer.ceiling.ceiling).lstrip("+"),
            "saves": formatting.interval(layer.ceiling.saves),
        }
        for a in analysis.headlines
        if a.factorial.drawn
        for layer in a.layers
    ]


def null_factors(analysis: Analysis) -> list[str]:
    """How often null factors claim an effect, and what the base's A/A twin shows: one sentence each."""
    expected = formatting.percent(1 - analysis.stack.confidence).lstrip("+")
    found = []
    for a in (a for a in analysis.headlines if not a.factorial.drawn):
        f, floor = a.factorial, a.noise_floor
        where = f"{f.bench}, {formatting.resource(f.bench, f.resource)}"
        for r in a.null_factors:
            drawn = "as it was run" if r.factor == ORDER else f"drawn {r.draws:,} times over the same runs"
            rate = f"{formatting.percent(r.share).lstrip('+')} ({expected} expected)"
            name = r.factor.replace("_", " ")
            found.append(f"{where}: {name}, {drawn}: {r.false:,} of {r.tests:,} intervals claim an effect, {rate}.")
        if floor is not None:
            known = {nest.max() + 1: name for name, nest in f.nests.items()} | {f.amounts.shape[-1]: "blocks"}
            claims = "its interval holds 0" if floor.low <= 0 <= floor.high else "its interval claims an effect that is not there"
            twin = f"{formatting.percent(floor.delta)} {formatting.ends((floor.low, floor.high))}"
            units = known.get(floor.pairs, "blocks")
            found.append(f"{where}: the base's A/A twin seems to save {twin} over {floor.pairs} {units}: {claims}.")
    return found


def one_percent(analysis: Analysis) -> list[str]:
    """The "1 % a module" reading: what the stack is worth in such modules, and what twelve of them give."""
    worth = {
        f"The joint saving of {formatting.resource(a.bench, a.resource)} ({formatting.percent(a.joint.value)}) is worth "
        f"{a.modules} modules that take 1 % off all that is left."
        for a in analysis.targets
        if a.modules is not None
    }
    disjoint = (
        f"{MODULES} gains of 1 % in {MODULES} disjoint equal parts total 1 % of the whole; the {compound(0.01, MODULES):.2%} of "
        "the source paper would need each of them to act on all of it."
    )
    half, fifth = modules_needed(HALVED, -0.01), modules_needed(FIFTH, -0.01)
    needed = f"Halving a resource takes {half} such modules, a fifth off takes {fifth}."
    return [*sorted(worth), disjoint, needed]


def published(cases: Sequence[PublishedCase], tolerance: float) -> dict[str, Any]:
    """Published pairs: rows, and a sentence where the same pair composes for one resource and not for another."""
    rows: list[dict[str, Any]] = [{"case": c, "gap": published_gap(c)} for c in cases]
    for r in rows:
        r["verdict"] = Verdict.HOLDS if abs(r["gap"].gap) <= tolerance else Verdict.FAILS
    by_pair: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for r in rows:
        by_pair.setdefault(tuple(sorted(r["case"].singles)), []).append(r)
    said = [_both_ways(pair, mine) for pair, mine in by_pair.items() if len({r["verdict"] for r in mine}) > 1]
    return {"rows": rows, "sentences": said}


def _both_ways(pair: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    does = ", ".join(r["case"].resource for r in rows if r["verdict"] is Verdict.HOLDS)
    fails = ", ".join(r["case"].resource for r in rows if r["verdict"] is Verdict.FAILS)
    return f"The same pair ({' + '.join(pair)}) composes for {does} and not for {fails}: a formula that held once proves nothing."


def recorded(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Measurements that others recorded: where and when, together, the product, its gap and verdict; a row a resource."""
    rows = []
    for o in outcomes:
        joint, product, shared = (o.totals[f] for f in (Formula.JOINT, Formula.INDEPENDENT, Formula.BY_MECHANISM))
        rows.append(
            {
                "name": o.manifest.name,
                "device": o.manifest.device,
                "date": o.manifest.recorded_at[:10],
                "host": o.manifest.host,
                "resource": formatting.resource(o.factorial.bench, o.factorial.resource),
                "together": formatting.interval(joint.saving),
                "product": formatting.percent(product.saving and product.saving.value),
                "gap": formatting.points(product.gap and product.gap.value),
                "verdict": product.verdict,
                "by_mechanism": formatting.percent(shared.saving and shared.saving.value),
            }
        )
    return rows


def beside(cells: Sequence[Beside]) -> list[dict[str, Any]]:
    """What the fleet says of a cell, what was measured of it, and by how much the fleet is off; a row a cell."""
    return [
        {
            "cell": b.cell,
            "fleet": formatting.percent(b.predicted),
            "measured": "not measured" if b.measured is None else formatting.interval(b.measured),
            "error": formatting.points(b.error),
            "source": b.source,
        }
        for b in cells
    ]


def verdict_counts(findings: Sequence[Finding]) -> str:
    """Counts of verdicts in words."""
    counts = Counter(str(f.verdict) for f in findings)
    return ", ".join(f"{n} {v}" for v, n in counts.most_common())
