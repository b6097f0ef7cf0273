"""Verdicts: what an interval says about a formula."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import FormulaError
from deltastack.outcomes import Verdict
from deltastack.statistics import Interval, verdict, verdict_of_draws


def gap(low: float, high: float) -> Interval:
    """An interval of a gap."""
    return Interval(estimate=(low + high) / 2, low=low, high=high, confidence=0.95, n=5, method="x")


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.01, 0.02, "holds"),
        (-0.02, 0.02, "holds"),
        (0.03, 0.05, "fails"),
        (-0.05, -0.03, "fails"),
        (0.01, 0.03, "undecided"),
        (-0.03, 0.01, "undecided"),
        (-0.5, 0.5, "undecided"),
        (0.02, 0.03, "undecided"),
        (-0.03, -0.02, "undecided"),
    ],
)
def test_by_hand(low: float, high: float, words: str) -> None:
    """Tolerance 2 points: inside holds, wholly outside fails, across an end undecided."""
    assert verdict(gap(low, high), 0.02) == words


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0.001, 0.5))
def test_the_sign_of_the_gap_does_not_matter(low: float, width: float, tolerance: float) -> None:
    """A formula that promises too little is judged like one that promises too much."""
    assert verdict(gap(low, low + width), tolerance) == verdict(gap(-low - width, -low), tolerance)


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0.001, 0.5), st.floats(1, 10))
def test_a_wider_tolerance_never_turns_holds_into_fails(low: float, width: float, tolerance: float, more: float) -> None:
    """What holds keeps holding; what did not fail does not fail."""
    narrow, wide = (verdict(gap(low, low + width), t) for t in (tolerance, tolerance * more))

    assert wide == Verdict.HOLDS or narrow != Verdict.HOLDS
    assert wide != Verdict.FAILS or narrow == Verdict.FAILS


@pytest.mark.parametrize(
    ("inside", "words"), [(20, "holds"), (19, "holds"), (18, "undecided"), (2, "undecided"), (1, "fails"), (0, "fails")]
)
def test_draws_by_hand(inside: int, words: str) -> None:
    """19 of 20 draws are 95 %: so many inside hold, so many outside fail; an end of the tolerance is inside."""
    gaps = [*[0.02] * inside, *[-0.0201] * (20 - inside)]
    assert verdict_of_draws(gaps, 0.02, 0.95) == (words, inside)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.floats(0.001, 0.5), st.floats(1, 10))
def test_a_wider_tolerance_holds_in_no_fewer_draws(gaps: list[float], tolerance: float, more: float) -> None:
    """Nor do sign and order of the gaps matter."""
    narrow, wide = (verdict_of_draws(gaps, t, 0.95) for t in (tolerance, tolerance * more))

    assert narrow[1] <= wide[1]
    assert verdict_of_draws([-g for g in reversed(gaps)], tolerance, 0.95) == narrow


def test_a_tolerance_is_positive() -> None:
    """A tolerance of 0 can never hold and is refused."""
    with pytest.raises(FormulaError, match="tolerance: found 0, wanted a positive fraction"):
        verdict_of_draws([0.0], 0.0, 0.95)
    with pytest.raises(FormulaError, match="tolerance: found 0, wanted a positive fraction"):
        verdict(gap(0.0, 0.0), 0.0)
