"""The power of each word: against simulated intervals, at its limits, and with more units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import FormulaError
from deltastack.outcomes import Verdict
from deltastack.statistics import mean_bounds, says_fails, says_holds, verdict

T = 0.02


def said(gap: float, sd: float, n: int, word: Verdict, sims: int = 4000) -> float:
    """How often simulated intervals of n units get the word."""
    bounds = mean_bounds(np.random.default_rng(8).normal(gap, sd, (n, sims)))
    ends = [b.interval(confidence=0.95, n=n, method="t") for b in (type(bounds)(*x) for x in zip(*bounds, strict=True))]
    return float(np.mean([verdict(e, T) is word for e in ends]))


@pytest.mark.parametrize(("gap", "sd", "n"), [(0.1, 0.05, 3), (0.1, 0.05, 8), (0.05, 0.03, 5), (0.02, 0.05, 4), (0.0, 0.05, 3)])
def test_fails_is_said_as_often_as_it_is_stated(gap: float, sd: float, n: int) -> None:
    """Within 2.5 points of 4,000 simulated intervals."""
    assert said(gap, sd, n, Verdict.FAILS) == pytest.approx(says_fails(gap, T, sd, n), abs=0.025)


@pytest.mark.parametrize(("gap", "sd", "n"), [(0.0, 0.01, 3), (0.0, 0.01, 8), (0.01, 0.005, 5), (0.02, 0.005, 4), (0.0, 0.05, 3)])
def test_holds_is_said_as_often_as_it_is_stated(gap: float, sd: float, n: int) -> None:
    """Within 2.5 points of 4,000 simulated intervals."""
    assert said(gap, sd, n, Verdict.HOLDS) == pytest.approx(says_holds(gap, T, sd, n), abs=0.025)


@given(st.floats(0, T), st.floats(0.001, 0.3), st.integers(2, 40))
def test_what_holds_is_called_wrong_in_at_most_one_of_twenty(gap: float, sd: float, n: int) -> None:
    """Whatever the noise: each end beyond the tolerance has 2.5 %."""
    assert says_fails(gap, T, sd, n) <= 0.0505
    assert says_holds(T + gap, T, sd, n) <= 0.0255


@given(st.floats(0.03, 0.3), st.floats(0.005, 0.1), st.integers(2, 20))
def test_more_units_say_more(gap: float, sd: float, n: int) -> None:
    """More units of the same noise find a wrong product at least as often."""
    assert says_fails(gap, T, sd, 2 * n) >= says_fails(gap, T, sd, n) - 1e-3


def test_without_noise() -> None:
    """The word is then certain."""
    assert (says_fails(0.03, T, 0.0, 3), says_fails(0.02, T, 0.0, 3)) == (1.0, 0.0)
    assert (says_holds(0.03, T, 0.0, 3), says_holds(0.02, T, 0.0, 3)) == (0.0, 1.0)
    with pytest.raises(FormulaError, match="power of 1 units"):
        says_holds(0.0, T, 0.1, 1)
