"""What one check of a claim says: printed figures, formulas, joint totals, Δ tables, quoted sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deltastack import formatting
from deltastack.analysis.occasions import UNRECORDED
from deltastack.claims import recomputed, whole_stack
from deltastack.claims.registry import Claim, Computation, Paper, Quote, Saving, Target, Verdict
from deltastack.claims.single_technique import factorial_of, saving, twin
from deltastack.claims.whole_stack import reached
from deltastack.composition import paper_table
from deltastack.model import Evidence, weakest
from deltastack.statistics import Estimate, indicative

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
            return _quote(check, claim)
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
    found = whole_stack.held(check, analysis)
    if not found:
        return Answer(Verdict.UNTESTABLE, None, f"no joint run has {' or '.join(check.resources)} of what the claim names", None)
    worst = min(found, key=lambda x: x.saved.value)
    reason = "; ".join(x.reason for x in found)
    if untested := [str(b) for b in analysis.benches if b not in {x.bench for x in found}]:
        reason += f"; not tested on the {' and '.join(untested)} bench, where nothing that the claim names is on"
    if check.stricter is not None:
        words = whole_stack.every(x.stricter for x in found if x.stricter is not None)
        reason += f"; the stricter reading, {check.stricter:.0%}: {words}"
    return Answer(whole_stack.every(x.word for x in found), worst.saved.value, reason, weakest(x.evidence for x in found))


def _quote(check: Quote, claim: Claim) -> Answer:
    """What a source says: a figure of its own against the claim's, or whether it agrees; one that nobody read decides nothing."""
    if check.source == "none":
        return Answer(Verdict.UNTESTABLE, check.found, check.words, None)
    if not check.read:
        return Answer(Verdict.UNTESTABLE, check.found, f"{check.words} ({check.source}: named, not read here)", None)
    agrees = check.agrees
    if check.found is not None and claim.value is not None:
        agrees = recomputed.as_printed(check.found, claim.value)
    word = Verdict.UNTESTABLE if agrees is None else Verdict.CONFIRMED if agrees else Verdict.REFUTED
    return Answer(word, check.found, f"{check.words} ({check.source})", Evidence.PUBLISHED)


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
    unsure = {f: _indicative(f, analysis) for f, _ in found}
    reason += "".join(f"; indicative on the {f.bench} bench: {why}" for f, why in unsure.items() if why)
    told = [reached(_beyond(e, tables[f]), least, strict=check.delta is None) for f, e in found if not late[f] and not unsure[f]]
    told += [Verdict.UNTESTABLE for why in unsure.values() if why]
    word = next((v for v in (Verdict.CONFIRMED, Verdict.UNTESTABLE) if v in told), Verdict.REFUTED)
    if word is Verdict.REFUTED and check.otherwise is not None and check.otherwise.saving > least:
        word = Verdict.OUT_OF_DOMAIN
        reason += f"; {formatting.percent(check.otherwise.saving)} against {check.otherwise.baseline} ({check.otherwise.source})"
    best, most = max(found, key=lambda x: (late[x[0]] is None, x[1].value))
    return Answer(word, most.value, reason, best.evidence)


def _indicative(f: Factorial, analysis: Analysis) -> str | None:
    """Why a measured technique may confirm or refute nothing; starts and machine are those of its bench's factorial."""
    if f.drawn:
        return None
    at = analysis.measured_at.get(f.bench, UNRECORDED)
    starts = min((at.process_starts(a.factorial) for a in analysis.factorials if a.factorial.bench is f.bench), default=1)
    return indicative(starts, at.loud)


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
