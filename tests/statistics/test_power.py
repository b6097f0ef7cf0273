"""Power: the reference figures, a simulation, and inverses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deltastack.errors import FormulaError
from deltastack.statistics import minimum_detectable_delta, pairs_needed, replicates_needed


@pytest.mark.parametrize(("cv", "alone", "of_twelve"), [(0.01, 16, 27), (0.02, 63, 110), (0.05, 392, 686), (0.10, 1568, 2745)])
def test_replicates_for_one_percent(cv: float, alone: int, of_twelve: int) -> None:
    """The reference figures were reckoned with z rounded to 1.96 + 0.84: ours are within 1 replicate or 3 in a thousand."""
    assert replicates_needed(0.01, cv=cv) == pytest.approx(alone, abs=1, rel=0.003)
    assert replicates_needed(0.01, cv=cv, family=12) == pytest.approx(of_twelve, abs=1, rel=0.003)


def test_replicates_by_hand() -> None:
    """2 (1.959964 + 0.841621)² = 15.6978, times 25 is 392.4: 393 an arm at a cv of 5 %."""
    assert replicates_needed(0.01, cv=0.05) == 393
    assert replicates_needed(-0.01, cv=0.05) == 393
    assert replicates_needed(0.5, cv=0.0) == 2


def test_minimum_detectable_delta_by_hand() -> None:
    """10 pairs, s = 0.1: t(9) is 2.2622 and 0.8834; (3.1456) 0.1 / √10 = 0.09947, so Δ = 1 - exp(-0.09947) = 9.47 %."""
    assert minimum_detectable_delta(0.1, 10) == pytest.approx(0.0947, abs=5e-5)


def test_power_by_simulation() -> None:
    """At the minimum detectable Δ, 80 % of simulated experiments are significant (within 3 points)."""
    n, sd = 12, 0.05
    effect = np.log1p(-minimum_detectable_delta(sd, n))
    logs = np.random.default_rng(0).normal(effect, sd, (4000, n))

    assert np.mean(stats.ttest_1samp(logs, 0.0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.03)


@given(st.floats(0.005, 0.5), st.floats(0.0, 0.3))
def test_pairs_needed_is_the_least(delta: float, sd: float) -> None:
    """That many pairs show the saving, one fewer does not."""
    n = pairs_needed(delta, sd=sd)

    assert minimum_detectable_delta(sd, n) <= delta
    assert n == 2 or minimum_detectable_delta(sd, n - 1) > delta


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: replicates_needed(0.0, cv=0.1), "wanted a saving, a cv"),
        (lambda: replicates_needed(0.1, cv=-0.1), r"cv=-0\.1"),
        (lambda: replicates_needed(0.1, cv=0.1, family=0), "family=0"),
        (lambda: replicates_needed(0.1, cv=0.1, power=1.0), "power=1: wanted fractions"),
        (lambda: minimum_detectable_delta(0.1, 1), "at least 2 pairs"),
        (lambda: minimum_detectable_delta(-0.1, 5), "wanted a standard deviation"),
        (lambda: pairs_needed(1.0, sd=0.1), "wanted a saving between 0 and 1"),
        (lambda: pairs_needed(1e-6, sd=1.0), "more than 10000000 pairs"),
    ],
)
def test_what_is_refused(call: object, words: str) -> None:
    """What cannot be asked is named."""
    with pytest.raises(FormulaError, match=words):
        call()  # type: ignore[operator]
