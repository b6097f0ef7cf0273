"""What one check of a claim says: printed figures, formulas, joint totals, Δ tables, quoted sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deltastack import formatting
from deltastack.claims import recomputed
from deltastack.claims.registry import Claim, Computation, Paper, Quote, Saving, Target, Verdict
from deltastack.claims.single_technique import factorial_of, saving, twin
from deltastack.composition import paper_table
from deltastack.model import Evidence
from deltastack.statistics import Estimate

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis
    from deltastack.analysis.factorial import Factorial
    from deltastack.statistics.aa_noise import Floor

NO_TABLES = "there are no tables of this checkout yet: deltastack run"


class Answer(NamedTuple):
    """What one check says."""

    verdict: Verdict
    found: float | None
    reason: str
    evidence: Evidence | None


def answer(check: Paper | Computation | Target | Saving | Quote, claim: Claim, analysis: Analysis | None) -> Answer:
    """The answer of one check of ``claim``.

    Raises:
        ParamsError: A computation whose figures do not fit.
    """
    match check:
        case Paper():
            return _paper(claim)
        case Computation():
            verdict, found, reason = recomputed.compute(check.name, check.figures)
            return Answer(Verdict(verdict), found, reason, None)
        case Quote():
            said = check.words if check.source == "none" else f"{check.words} ({check.source})"
            return Answer(check.verdict, check.found, said, Evidence.PUBLISHED if check.source != "none" else None)
    if analysis is None:
        return Answer(Verdict.UNTESTABLE, None, NO_TABLES, None)
    return _target(check, analysis) if isinstance(check, Target) else _saving(check, analysis)


def _paper(claim: Claim) -> Answer:
    figures = [p for p in paper_table() if p.id.split(":")[0] == claim.id]
    right = bool(figures) and all(p.right for p in figures)
    reason = "; ".join(f"printed {p.printed:+.2%}, recomputed {p.recomputed:+.2%}: {p.why}" for p in figures)
    found = figures[0].recomputed if figures else None
    return Answer(Verdict.CONFIRMED if right else Verdict.REFUTED, found, reason or "no printed figure with this id", None)


def _target(check: Target, analysis: Analysis) -> Answer:
    here = [a for a in analysis.factorials if a.factorial.resource in check.resources and a.at_headline]
    saved = [(a.factorial, a.joint) for a in here if a.joint is not None]
    if not saved:
        return Answer(Verdict.UNTESTABLE, None, f"no joint run has {' or '.join(check.resources)}", None)
    best, most = max(saved, key=lambda x: x[1].value)
    reason = "; ".join(
        f"{formatting.interval(e)} of {formatting.resource(f.bench, f.resource)}, {f.bench} bench ({f.evidence})"
        for f, e in saved
    )
    if check.stricter is not None:
        reason += f"; the stricter reading, {check.stricter:.0%}: {_reached([e for _, e in saved], check.stricter)}"
    return Answer(_reached([e for _, e in saved], check.delta), most.value, f"all layers on: {reason}", best.evidence)


def _saving(check: Saving, analysis: Analysis) -> Answer:
    tables = _tables(check, analysis)
    found = [(f, saving(f, analysis.stack.confidence)) for f in tables]
    name = f"{check.layer}/{check.technique}"
    if not found:
        place = f" in {check.component}" if check.component else ""
        return Answer(Verdict.UNTESTABLE, None, f"no Δ table has {check.resource}{place} of {name}", None)
    late = {f: analysis.slo_violation(f, name) for f, _ in found}
    reason = "; ".join(_alone(name, f, e, analysis.caveat(f, name), tables[f]) for f, e in found)
    least = 0.0 if check.delta is None else check.delta - check.tolerance
    told = [_reached([_beyond(e, tables[f])], least, strict=check.delta is None) for f, e in found if not late[f]]
    word = next((v for v in (Verdict.CONFIRMED, Verdict.UNTESTABLE) if v in told), Verdict.REFUTED)
    best, most = max(found, key=lambda x: (late[x[0]] is None, x[1].value))
    return Answer(word, most.value, reason, best.evidence)


def _alone(name: str, f: Factorial, saved: Estimate, objection: str | None, floor: Floor | None) -> str:
    """What a technique saves alone, in words; one that serves late confirms nothing."""
    but = f", but {objection}" if objection else ""
    against = "" if floor is None else f" ({formatting.floor_note(floor)})"
    return (
        f"{name} alone {formatting.interval(saved, 2)} of {f.resource} {f.operating_point} on the {f.bench} bench{against}{but}"
    )


def _beyond(saved: Estimate, floor: Floor | None) -> Estimate:
    """A saving whose interval is at least as wide as what two equal cells seem to differ by."""
    if floor is None or saved.low is None or saved.high is None:
        return saved
    most = floor.largest
    return Estimate(saved.value, min(saved.low, saved.value - most), max(saved.high, saved.value + most), saved.draws)


def _tables(check: Saving, analysis: Analysis) -> dict[Factorial, Floor | None]:
    """The technique's rows of that resource, one factorial a bench and basis, each with the A/A floor of its table."""
    found: dict[Factorial, Floor | None] = {}
    for key, table in analysis.tables.deltas.items():
        mine = table[(table["technique"] == check.technique) & (table["resource"] == check.resource)]
        if not key.startswith(f"{check.layer}/") or mine.empty:
            continue
        mine = mine if check.component is None else mine[mine["component"] == check.component]
        whole = [f for _, rows in mine.groupby("operating_point", sort=False) if (f := factorial_of(rows)) is not None]
        found |= {f: twin(table, f) for f in whole}
    return found


def _reached(savings: list[Estimate], delta: float, *, strict: bool = False) -> Verdict:
    """Confirmed if some saving surely reaches ``delta`` (is surely above it, if strict), refuted if none can."""
    ends = [(e.value if e.low is None else e.low, e.value if e.high is None else e.high) for e in savings]
    if any(low > delta if strict else low >= delta for low, _ in ends):
        return Verdict.CONFIRMED
    if any(high > delta if strict else high >= delta for _, high in ends):
        return Verdict.UNTESTABLE
    return Verdict.REFUTED
