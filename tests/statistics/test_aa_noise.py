"""Noise floor, nested intervals, outliers, drift: cases by hand, coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from deltastack import statistics
from deltastack.errors import EvidenceError
from deltastack.statistics import aa_noise, nested_interval


def test_floor_by_hand() -> None:
    """Log ratios +0.1, -0.1, +0.1, -0.1: mean 0, sd 0.11547, half width t(0.975, 3) sd / 2."""
    a = np.exp([0.1, -0.1, 0.1, -0.1])
    half = stats.t.ppf(0.975, 3) * 0.11547005 / 2

    found = aa_noise.floor(a, np.ones(4))

    assert found.sd_log == pytest.approx(0.11547005)
    assert found.delta == pytest.approx(0.0, abs=1e-12)
    assert (found.low, found.high) == (pytest.approx(1 - math.exp(half)), pytest.approx(1 - math.exp(-half)))


def test_the_sign_of_delta() -> None:
    """The second series spends 20 % less than the first: Δ is +0.2."""
    rng = np.random.default_rng(0)
    a = np.exp(rng.normal(0, 0.01, 50))

    assert aa_noise.floor(a, 0.8 * a).delta == pytest.approx(0.2)


def test_minimum_detectable_by_hand() -> None:
    """Spread 0.1, 16 pairs: (2.13145 + 0.86624) x 0.1 / 4 = 0.074942 in log, 7.22 % saved."""
    assert statistics.minimum_detectable_delta(0.1, 16) == pytest.approx(-math.expm1(-0.0749423), rel=1e-5)


@pytest.mark.parametrize("delta", [0.3, 0.05, 0.01])
def test_pairs_needed_is_the_least_that_suffices(delta: float) -> None:
    """One pair fewer does not show it."""
    n = aa_noise.pairs_needed(0.06, delta)

    assert statistics.minimum_detectable_delta(0.06, n) <= delta
    assert n == 2 or statistics.minimum_detectable_delta(0.06, n - 1) > delta


def test_power_is_what_it_says() -> None:
    """A saving of exactly the minimum detectable Δ is found in about 80 of 100 simulated experiments."""
    rng, n, sd = np.random.default_rng(5), 20, 0.05
    shift = -math.log1p(-statistics.minimum_detectable_delta(sd, n))
    r = rng.normal(shift, sd, (4000, n))
    t = r.mean(1) / (r.std(1, ddof=1) / math.sqrt(n))

    assert np.mean(t > stats.t.ppf(0.975, n - 1)) == pytest.approx(0.80, abs=0.03)


def test_an_aa_interval_holds_zero_at_least_93_times_in_100() -> None:
    """A/A runs of 20 pairs with the spread of this kind of machine: at least 93 of 100 intervals contain 0."""
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(1000):
        found = aa_noise.floor(np.exp(rng.normal(0, 0.07, 20)), np.exp(rng.normal(0, 0.07, 20)))
        hits += found.low <= 0 <= found.high

    assert hits >= 930


@pytest.mark.parametrize(("start_sd", "starts", "pairs"), [(0.0, 4, 6), (0.03, 5, 6), (0.1, 6, 4), (0.0, 1, 10)])
def test_a_nested_interval_covers_with_and_without_start_effects(start_sd: float, starts: int, pairs: int) -> None:
    """Nominal 95 %: at least 91.5 % where starts differ a little (the pooled test's worst case), 93.5 % elsewhere."""
    rng, repeats, hits = np.random.default_rng(3), 2000, 0
    for _ in range(repeats):
        groups = [rng.normal(rng.normal(0, start_sd), 0.05, pairs) for _ in range(starts)]
        found = nested_interval.interval(groups)
        hits += found.low <= 0 <= found.high

    assert hits / repeats >= (0.915 if start_sd else 0.935)


def test_ignoring_starts_would_not_cover() -> None:
    """With strong start effects the naive pooled interval covers far less: the nesting matters."""
    rng, hits = np.random.default_rng(3), 0
    for _ in range(500):
        flat = np.concatenate([rng.normal(rng.normal(0, 0.1), 0.05, 6) for _ in range(4)])
        found = nested_interval.interval([flat])
        hits += found.low <= 0 <= found.high

    assert hits / 500 < 0.85


def test_nested_by_hand() -> None:
    """Starts {-0.2, -0.2} and {-0.4, -0.4}: mean -0.3, nothing pooled, standard error 0.1 with one degree of freedom."""
    found = nested_interval.interval([[-0.2, -0.2], [-0.4, -0.4]])

    half = stats.t.ppf(0.975, 1) * 0.1
    assert not found.pooled
    assert found.delta == pytest.approx(1 - math.exp(-0.3))
    assert found.low == pytest.approx(1 - math.exp(-0.3 + half))
    assert found.high == pytest.approx(1 - math.exp(-0.3 - half))


def test_one_start_is_the_plain_t_interval() -> None:
    """Without nesting the interval is the paired t interval of the log ratio."""
    r = np.array([-0.1, -0.2, -0.15, -0.3])
    half = stats.t.ppf(0.975, 3) * r.std(ddof=1) / 2

    found = nested_interval.interval([r])

    assert found.low == pytest.approx(-math.expm1(r.mean() + half))
    assert found.pooled


@pytest.mark.parametrize("groups", [[], [[0.1]], [[0.1, 0.2], []], [[0.1, float("nan")]]])
def test_nested_refuses(groups: list[list[float]]) -> None:
    """One pair, an empty start and a value that is not finite are refused."""
    with pytest.raises(EvidenceError):
        nested_interval.interval(groups)


def test_words_follow_the_interval_and_the_floor() -> None:
    """Inside the floor nothing is resolved, whatever its own interval; beyond it the sign of the interval speaks."""
    floor = aa_noise.Floor(pairs=10, sd_log=0.05, delta=0.005, low=-0.02, high=0.03, minimum_detectable=0.04)

    assert aa_noise.resolve(0.025, 0.01, 0.04, floor) is aa_noise.Resolution.NOT_RESOLVED
    assert aa_noise.resolve(0.10, 0.05, 0.15, floor) is aa_noise.Resolution.SAVES
    assert aa_noise.resolve(-0.10, -0.15, -0.05, floor) is aa_noise.Resolution.COSTS
    assert aa_noise.resolve(0.10, -0.05, 0.25, floor) is aa_noise.Resolution.NOT_RESOLVED


def test_outliers_are_classified() -> None:
    """Of eight quiet runs and two loud ones the loud ones are named; none is dropped."""
    found = aa_noise.outliers([1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 0.99, 1.12, 3.0])

    assert len(found) == 10
    assert found[-1] is aa_noise.Outlier.SEVERE
    assert found[-2] is not aa_noise.Outlier.NONE
    assert set(found[:8]) == {aa_noise.Outlier.NONE}


def test_a_planted_drift_is_found_and_quiet_is_not_drift() -> None:
    """One percent a run is found with its slope; noise alone is called drift in about 1 % of series."""
    rng = np.random.default_rng(2)
    slope, there = aa_noise.drift_per_run(1.01 ** np.arange(40) * np.exp(rng.normal(0, 0.01, 40)))
    false = sum(aa_noise.drift_per_run(np.exp(rng.normal(0, 0.05, 20)))[1] for _ in range(300))

    assert there
    assert slope == pytest.approx(0.01, abs=0.001)
    assert false <= 10


@pytest.mark.parametrize("pair", [([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([1.0, 0.0], [1.0, 1.0])])
def test_floor_refuses(pair: tuple[list[float], list[float]]) -> None:
    """One pair, unequal lengths, an amount of zero."""
    with pytest.raises(EvidenceError):
        aa_noise.floor(*pair)
