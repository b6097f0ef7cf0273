"""What the parts of the page are made of: plain rows of words and numbers for the template."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from deltastack.analysis.amdahl import ceilings
from deltastack.analysis.negative_controls import ORDER, rates
from deltastack.analysis.quality import worst_reading
from deltastack.composition import compound, modules_needed, published_gap
from deltastack.model import cell_name
from deltastack.report.html.table_rows import head
from deltastack.report.text import formatting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.analysis.results import Results
    from deltastack.claims import Finding
    from deltastack.composition import PublishedCase

MODULES = 12
HALVED, FIFTH = -0.5, -0.2


def amdahl(results: Results) -> list[dict[str, Any]]:
    """What each layer touches and at most saves, of the headline resource; simulated only, noise would touch everything."""
    return [
        head(f)
        | {
            "layer": c.layer.replace("_", " "),
            "touches": ", ".join(c.touches) or "nothing",
            "ceiling": formatting.percent(c.ceiling).lstrip("+"),
            "saves": formatting.interval(c.saves),
        }
        for f in formatting.spoken(results)
        if f.drawn
        for c in ceilings(f, results.shares(f))
    ]


def admissible(results: Results, limit: float) -> list[str]:
    """Whether the answers of the whole stack stay within a limit (the least change of accuracy): one sentence a bench."""
    found = []
    for bench in results.benches():
        layers = next((f.layers for f in results.found if f.bench is bench), ())
        reading = worst_reading(results, bench, cell_name(layers), limit)
        change = reading.change if reading else None
        if reading is None or change is None:
            why = f" ({reading.reason})" if reading else ""
            found.append(
                f"{bench}: nobody looked at the answers of the whole stack{why}, so whether it is admissible cannot be told."
            )
            continue
        low, high = (change.value if end is None else end for end in (change.low, change.high))
        word = "admissible" if low >= limit else "NOT ADMISSIBLE" if high < limit else "whether it is admissible cannot be told"
        found.append(
            f"{bench}: {reading.metric.replace('_', ' ')} of the whole stack changes by {formatting.points(change.value)} "
            f"{formatting.ends((change.low, change.high))} ({', '.join(filter(None, (reading.evidence, reading.reason)))}), "
            f"limit {formatting.points(limit)}: {word}."
        )
    return found


def null_factors(results: Results) -> list[str]:
    """How often factors that do nothing claim an effect, and what the base's twin shows: one sentence each."""
    expected = formatting.percent(1 - results.stack.confidence).lstrip("+")
    found = []
    for f in (f for f in formatting.spoken(results) if not f.drawn):
        where = f"{f.bench}, {formatting.resource(f.bench, f.resource)}"
        for r in rates(results.joint[f.bench], f, results.stack.confidence):
            drawn = "as it was run" if r.factor == ORDER else f"drawn {r.draws:,} times over the same runs"
            rate = f"{formatting.percent(r.share).lstrip('+')} ({expected} expected)"
            found.append(f"{where}: {r.factor}, {drawn}: {r.false:,} of {r.tests:,} intervals claim an effect, {rate}.")
        floor = results.floor(f)
        if floor is not None:
            known = {nest.max() + 1: name for name, nest in f.nests.items()} | {f.amounts.shape[-1]: "blocks"}
            units = known.get(floor.pairs, "blocks")
            claims = "its interval holds 0" if floor.low <= 0 <= floor.high else "its interval claims an effect that is not there"
            twin = f"{formatting.percent(floor.delta)} {formatting.ends((floor.low, floor.high))}"
            found.append(f"{where}: the base's twin seems to save {twin} over {floor.pairs} {units}: {claims}.")
    return found


def one_percent(results: Results) -> list[str]:
    """The "1 % a module" reading: what the stack is worth in such modules, and what twelve of them give."""
    worth = {
        f"The joint saving of {formatting.resource(a.bench, a.resource)} ({formatting.percent(a.joint.value)}) is worth "
        f"{a.modules} modules that take 1 % off all that is left."
        for a in results.answers()
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
        r["holds"] = abs(r["gap"].gap) <= tolerance
    by_pair: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for r in rows:
        by_pair.setdefault(tuple(sorted(r["case"].singles)), []).append(r)
    said = [_both_ways(pair, mine) for pair, mine in by_pair.items() if len({r["holds"] for r in mine}) > 1]
    return {"rows": rows, "sentences": said}


def _both_ways(pair: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    does = ", ".join(r["case"].resource for r in rows if r["holds"])
    fails = ", ".join(r["case"].resource for r in rows if not r["holds"])
    return f"The same pair ({' + '.join(pair)}) composes for {does} and not for {fails}: a formula that held once proves nothing."


def verdicts(findings: Sequence[Finding]) -> str:
    """Counts of verdicts in words."""
    counts = Counter(str(f.verdict) for f in findings)
    return ", ".join(f"{n} {v}" for v, n in counts.most_common())
