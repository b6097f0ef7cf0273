"""Occasions pooled: by hand, against a slow loop, where the interval covers, and where the next occasion falls."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deltastack.errors import FormulaError
from deltastack.statistics import pool
from deltastack.statistics.random_effects import between_variance

numbers = st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(0.001, 0.2)), min_size=2, max_size=9)


def slow(y: list[float], s: list[float]) -> tuple[float, float, float]:
    """Mean, standard error and τ², by halving an interval of τ² and plain sums."""

    def fitted(tau2: float) -> tuple[float, float, float]:
        w = [1 / (x * x + tau2) for x in s]
        mean = sum(a * b for a, b in zip(w, y, strict=True)) / sum(w)
        return mean, sum(a * (b - mean) ** 2 for a, b in zip(w, y, strict=True)), sum(w)

    low, high = 0.0, 10.0
    if fitted(0.0)[1] <= len(y) - 1:
        high = 0.0
    for _ in range(200 if high else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if fitted(middle)[1] > len(y) - 1 else (low, middle)
    mean, q, total = fitted(high)
    return mean, math.sqrt(max(1.0, q / (len(y) - 1)) / total), high


def test_by_hand() -> None:
    """0 and 0.2 with errors 0.1: (0.1² + 0.1²) / (0.01 + τ²) = 1, so τ² = 0.01; the mean 0.1 has SE √(0.02 / 2) = 0.1.

    Its interval is 0.1 ± 12.706 x 0.1, and another reading falls within 0.1 ± 12.706 √(0.01 + 0.01 + 0.01).
    """
    found = pool([0.0, 0.2], [0.1, 0.1])

    assert found.between_sd**2 == pytest.approx(0.01)
    assert (found.mean, found.error) == pytest.approx((0.1, 0.1))
    assert found.high == pytest.approx(0.1 + 1.27062, abs=1e-4)
    assert found.next_high == pytest.approx(0.1 + 12.7062 * math.sqrt(0.03), abs=1e-4)
    assert found.occasions == 2


def test_occasions_that_agree_have_no_variance_between() -> None:
    """Equal estimates: τ is 0, the error that of the weighted mean, 1 / √(1 / 0.01 + 1 / 0.04) = 0.0894."""
    found = pool([0.1, 0.1], [0.1, 0.2])

    assert found.between_sd == 0
    assert found.error == pytest.approx(1 / math.sqrt(125))


@given(numbers)
def test_as_a_slow_loop(pairs: list[tuple[float, float]]) -> None:
    """Mean, error and τ² are those of sums and bisection."""
    y, s = ([p[i] for p in pairs] for i in (0, 1))
    found, (mean, error, tau2) = pool(y, s), slow(y, s)

    assert (found.mean, found.error, found.between_sd**2) == pytest.approx((mean, error, tau2), rel=1e-5, abs=1e-9)


@given(numbers, st.floats(-1, 1))
def test_a_shift_moves_all_of_it(pairs: list[tuple[float, float]], by: float) -> None:
    """Another origin changes no width and no spread between occasions."""
    y, s = ([p[i] for p in pairs] for i in (0, 1))
    here, there = pool(y, s), pool([x + by for x in y], s)

    assert there.mean - here.mean == pytest.approx(by, abs=1e-6)
    assert there.between_sd == pytest.approx(here.between_sd, abs=1e-5)
    assert there.high - there.low == pytest.approx(here.high - here.low, abs=1e-5)
    assert here.next_low <= here.low <= here.mean <= here.high <= here.next_high


@pytest.mark.parametrize(("k", "tau"), [(3, 0.0), (3, 0.05), (5, 0.02), (10, 0.05)])
def test_coverage(k: int, tau: float) -> None:
    """The mean is held in 94 % or more of 1,500 simulations, and another reading in 93 %, whatever differs between."""
    rng, sims = np.random.default_rng(3), 1500
    s = rng.uniform(0.01, 0.05, (sims, k))
    y = rng.normal(0, tau, (sims, k)) + rng.normal(0, 1, (sims, k)) * s
    further = rng.normal(0, tau, sims) + rng.normal(0, 1, sims) * rng.uniform(0.01, 0.05, sims)
    found = [pool(a, b) for a, b in zip(y, s, strict=True)]

    assert np.mean([p.low <= 0 <= p.high for p in found]) >= 0.94
    assert np.mean([p.next_low <= x <= p.next_high for p, x in zip(found, further, strict=True)]) >= 0.93


def test_domain() -> None:
    """One occasion, an error below 0, or errors of another number are refused."""
    with pytest.raises(FormulaError, match="1 replicates, wanted at least 2"):
        pool([0.1], [0.1])
    with pytest.raises(FormulaError, match="one standard error, 0 or more"):
        pool([0.1, 0.2], [0.1, -0.1])
    with pytest.raises(FormulaError, match="one standard error, 0 or more"):
        pool([0.1, 0.2], [0.1])
    assert between_variance(np.array([1.0, 2.0, 3.0]), np.zeros(3)) == pytest.approx(stats.tvar([1, 2, 3]))
