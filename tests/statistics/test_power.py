"""Power: the reference figures, a simulation, and inverses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deltastack.errors import FormulaError
from deltastack.statistics import least_count, minimum_detectable_delta


def test_minimum_detectable_delta_by_hand() -> None:
    """10 pairs, s = 0.1: t(9) is 2.2622 and 0.8834; (3.1456) 0.1 / √10 = 0.09947, so Δ = 1 - exp(-0.09947) = 9.47 %."""
    assert minimum_detectable_delta(0.1, 10) == pytest.approx(0.0947, abs=5e-5)


def test_power_by_simulation() -> None:
    """At the minimum detectable Δ, 80 % of simulated experiments are significant (within 3 points)."""
    n, sd = 12, 0.05
    effect = np.log1p(-minimum_detectable_delta(sd, n))
    logs = np.random.default_rng(0).normal(effect, sd, (4000, n))

    assert np.mean(stats.ttest_1samp(logs, 0.0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.03)


@given(st.integers(2, 5000), st.integers(2, 40))
def test_least_count_agrees_with_the_loop(first: int, least: int) -> None:
    """The first count from ``least`` on that is enough, as one by one; None where the doubling passes the most."""
    assert least_count(lambda n: n >= first, least=least, most=10_000) == max(first, least)
    assert least_count(lambda _: False, least=least, most=100) is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: minimum_detectable_delta(0.1, 5, power=1.0), "power=1: wanted fractions"),
        (lambda: minimum_detectable_delta(0.1, 1), "at least 2 pairs"),
        (lambda: minimum_detectable_delta(-0.1, 5), "wanted a standard deviation"),
    ],
)
def test_what_is_refused(call: object, words: str) -> None:
    """What cannot be asked is named."""
    with pytest.raises(FormulaError, match=words):
        call()  # type: ignore[operator]
