"""A target of the whole stack, held against every bench: the joint run, or the claimant's own techniques if others are on too."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from deltastack import formatting
from deltastack.analysis.occasions import UNRECORDED, why_indicative
from deltastack.claims.registry import Verdict
from deltastack.claims.single_technique import factorial_of, saving
from deltastack.model import Bench, Evidence, weakest
from deltastack.statistics import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from deltastack.analysis.analysis import Analysis, FactorialAnalysis
    from deltastack.claims.registry import Target

ORDER = (Verdict.CONFIRMED, Verdict.UNTESTABLE, Verdict.REFUTED)
"""On one bench a target names several resources, of which one is enough."""


class Held(NamedTuple):
    """A target on one bench and resource."""

    bench: Bench
    word: Verdict
    stricter: Verdict | None
    saved: Estimate
    evidence: Evidence
    reason: str


def held(check: Target, analysis: Analysis) -> tuple[Held, ...]:
    """The best resource of every bench that has a joint run of one, at its headline operating point."""
    here = [a for a in analysis.factorials if a.factorial.resource in check.resources and a.at_headline and a.joint is not None]
    found = [x for a in here if (x := _of(check, analysis, a)) is not None]
    benches = dict.fromkeys(x.bench for x in found)
    return tuple(min((x for x in found if x.bench is b), key=lambda x: (ORDER.index(x.word), -x.saved.value)) for b in benches)


def every(words: Iterable[Verdict]) -> Verdict:
    """Refuted where some bench refutes; confirmed only where every bench confirms."""
    said = set(words)
    return next((w for w in (Verdict.REFUTED, Verdict.UNTESTABLE) if w in said), Verdict.CONFIRMED)


def reached(saved: Estimate, delta: float, *, strict: bool = False) -> Verdict:
    """Confirmed if a saving surely reaches ``delta`` (is surely above it, if strict), refuted if it cannot."""
    low, high = saved.value if saved.low is None else saved.low, saved.value if saved.high is None else saved.high
    if low > delta if strict else low >= delta:
        return Verdict.CONFIRMED
    return Verdict.UNTESTABLE if (high > delta if strict else high >= delta) else Verdict.REFUTED


def _of(check: Target, analysis: Analysis, a: FactorialAnalysis) -> Held | None:
    """One bench and resource; None where nothing of the claimant's is on, so that there is nothing to test."""
    f, joint = a.factorial, a.joint
    on = {t for layer in f.layers for t in analysis.enabled_techniques.get(layer, {}).get(f.bench, ())}
    foreign = sorted(on - set(check.own)) if check.own else []
    if joint is None or (check.own and on and not on & set(check.own)):
        return None
    saved, what = (joint, "all layers on") if not foreign else _own(analysis, a, sorted(on & set(check.own)))
    if saved is None:
        return None
    words = f"{what}: {formatting.interval(saved)} of {formatting.resource(f.bench, f.resource)}, {f.bench} bench ({f.evidence})"
    if foreign:
        words += f"; with {', '.join(foreign)}, which the claim does not name, {formatting.interval(joint)}"
    why = why_indicative(f, analysis.measured_at.get(f.bench, UNRECORDED))
    late = a.slo_violation if not foreign else None
    words += "".join(f", but {x}" for x in (late, why and f"indicative: {why}") if x)

    def word(delta: float) -> Verdict:
        return Verdict.UNTESTABLE if why else Verdict.REFUTED if late else reached(saved, delta)

    stricter = None if check.stricter is None else word(check.stricter)
    return Held(f.bench, word(check.delta), stricter, saved, f.evidence, words)


def _own(analysis: Analysis, a: FactorialAnalysis, names: Sequence[str]) -> tuple[Estimate | None, str]:
    """The product of the claimant's own techniques that are on, from each one's table alone."""
    f = a.factorial
    alone: dict[str, Estimate] = {}
    known: list[Evidence] = [f.evidence]
    for key, table in analysis.tables.deltas.items():
        same = (table["operating_point"] == f.operating_point) & (table["resource"] == f.resource)
        for name in (n for n in names if key.endswith(f"/{f.bench}")):
            one = factorial_of(table[same & (table["technique"] == name)])
            if one is not None:
                alone[name] = saving(one, analysis.stack.confidence)
                known.append(one.evidence)
    if not alone:
        return None, ""
    what = f"product of {', '.join(alone)} ({weakest(known)}), each alone"
    return composed(list(alone.values())), what


def composed(savings: Sequence[Estimate]) -> Estimate:
    """The product of savings, and of their ends: wider than its interval, since the ends need not meet.

    >>> composed([Estimate(0.5, 0.4, 0.6), Estimate(0.5, 0.5, 0.5)])[:3]
    (0.75, 0.7, 0.8)
    """
    ends = [1 - math.prod(1 - x for x in each if x is not None) for each in zip(*(s[:3] for s in savings), strict=True)]
    value, low, high = (round(x, 15) for x in ends)
    whole = all(s.low is not None for s in savings)
    return Estimate(value, low if whole else None, high if whole else None, savings[0].draws)
