"""When a claim is confirmed, cannot be told, or is refuted, from the intervals of several savings."""

from __future__ import annotations

import pytest

from deltastack.analysis.formula_totals import Estimate
from deltastack.claims.checks import _reached
from deltastack.claims.registry import Verdict

SURE, OPEN, NOT = Estimate(0.5, 0.45, 0.55), Estimate(0.4, 0.35, 0.45), Estimate(0.1, 0.05, 0.15)


@pytest.mark.parametrize(
    ("savings", "word"),
    [
        ([SURE], Verdict.CONFIRMED),
        ([NOT, SURE], Verdict.CONFIRMED),
        ([OPEN], Verdict.UNTESTABLE),
        ([NOT, OPEN], Verdict.UNTESTABLE),
        ([NOT], Verdict.REFUTED),
        ([Estimate(0.4, None, None)], Verdict.CONFIRMED),
    ],
)
def test_one_saving_that_surely_reaches_it_is_enough(savings: list[Estimate], word: Verdict) -> None:
    """0.4 is confirmed by a low end of 0.45 beside any other saving, open between 0.35 and 0.45, refuted below 0.15."""
    assert _reached(savings, 0.4) is word


def test_strictly_above() -> None:
    """A low end of exactly 0 is not above 0."""
    assert _reached([Estimate(0.1, 0.0, 0.2)], 0.0, strict=True) is Verdict.UNTESTABLE
    assert _reached([Estimate(0.1, 0.0, 0.2)], 0.0) is Verdict.CONFIRMED
