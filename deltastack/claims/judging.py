"""Every claim held against what it names: printed figures, formulas, joint totals, Δ tables, quoted sources, published pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deltastack import formatting
from deltastack.claims.checks import answer
from deltastack.claims.registry import Verdict
from deltastack.composition import published_gap
from deltastack.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deltastack.analysis.analysis import Analysis
    from deltastack.claims.registry import Claim
    from deltastack.composition import PublishedCase

STRONGEST = (Verdict.REFUTED, Verdict.CONFIRMED, Verdict.OUT_OF_DOMAIN, Verdict.UNTESTABLE)
"""The word of a claim with several checks: one refutation refutes, what cannot be tested decides nothing."""


class Finding(NamedTuple):
    """A claim with its verdict; ``found`` and ``claimed`` are fractions, or in the unit that the claim names."""

    id: str
    kind: str
    section: str
    claim: str
    verdict: Verdict
    claimed: float | None
    found: float | None
    reason: str
    evidence: str | None
    command: str


def judge(
    claims: Iterable[Claim], cases: Iterable[PublishedCase], analysis: Analysis | None, *, tolerance: float
) -> tuple[Finding, ...]:
    """A finding for every claim, then one for every published pair: does the product of its singles hold?

    Args:
        claims: The registry.
        cases: Published compositions.
        analysis: Of the tables of this checkout; None if nothing was run yet.
        tolerance: How far product and observation of a published pair may be apart, a fraction.

    Raises:
        ParamsError: A computation whose figures do not fit.
    """
    return (*(_finding(c, analysis) for c in claims), *(_composed(c, tolerance) for c in cases))


def _finding(claim: Claim, analysis: Analysis | None) -> Finding:
    answers = [answer(check, claim, analysis) for check in claim.checks]
    first = min(answers, key=lambda a: STRONGEST.index(a.verdict))
    reason = "; ".join(dict.fromkeys([a.reason for a in answers] + [x for x in (claim.meaning, claim.evidence) if x]))
    return Finding(
        id=claim.id,
        kind=claim.kind,
        section=claim.section,
        claim=claim.claim,
        verdict=first.verdict,
        claimed=claim.value,
        found=first.found,
        reason=reason,
        evidence=str(first.evidence) if first.evidence else None,
        command=f"deltastack claims check {claim.id}",
    )


def _composed(case: PublishedCase, tolerance: float) -> Finding:
    """The tacit claim of a published pair: that its parts multiply."""
    found = published_gap(case)
    return Finding(
        id=case.id,
        kind="composition",
        section=case.source,
        claim=f"{' and '.join(case.singles)} compound ({case.resource})",
        verdict=Verdict.CONFIRMED if abs(found.gap) <= tolerance else Verdict.REFUTED,
        claimed=found.predicted,
        found=found.observed,
        reason=(
            f"the product predicts {formatting.percent(-found.predicted)}, "
            f"observed {formatting.percent(-found.observed)}: a gap of "
            f"{formatting.points(found.gap)}, tolerance {formatting.points(tolerance).lstrip('+')} (n = 1, no interval); "
            f"{case.conditions}"
        ),
        evidence=str(Evidence.PUBLISHED),
        command="deltastack compose --published params/published_compositions.yaml",
    )
