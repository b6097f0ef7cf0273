"""Coverage by simulation: how often a nominal 95 % interval holds the truth, with fixed seeds.

With 4000 simulations a true 95 % gives 94.0-96.0 % in 99.6 of 100 runs; the bounds below add what theory says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from deltastack.composition import independent
from deltastack.statistics import Resampling, averaged, block_bootstrap, equivalent, jackknife, log_ratio_bounds, mean_bounds
from deltastack.statistics.bootstrap import bootstrap_bounds
from deltastack.statistics.fieller_interval import fieller_bounds

if TYPE_CHECKING:
    from deltastack.statistics import Bounds

S = 4000
SIZES = (5, 10, 30)


def pairs(n: int, sims: int = S, seed: int = 11) -> tuple[np.ndarray, np.ndarray]:
    """Lognormal base and optimized, (n, S) each, with noise that pairs share; the true saving is 0.2."""
    rng = np.random.default_rng(seed)
    shared, own, other = (rng.normal(0, s, (n, sims)) for s in (0.2, 0.1, 0.1))
    return np.exp(shared + own), 0.8 * np.exp(shared + other)


def coverage(bounds: Bounds, truth: float) -> float:
    """The share of intervals that hold ``truth``."""
    return float(np.mean((bounds.low <= truth) & (truth <= bounds.high)))


@pytest.mark.parametrize("n", SIZES)
def test_paired_log_ratio_t(n: int) -> None:
    """The default covers 95 % at 5, 10 and 30 pairs; it is exact for lognormal noise."""
    assert 0.938 <= coverage(log_ratio_bounds(*pairs(n)), 0.2) <= 0.962


@pytest.mark.parametrize("n", SIZES)
def test_fieller(n: int) -> None:
    """Fieller's covers 93.5-96.5 % of the saving of means, which is 0.2 as well for equal spreads."""
    assert 0.935 <= coverage(fieller_bounds(*pairs(n)), 0.2) <= 0.965


@pytest.mark.parametrize("n", SIZES)
def test_swapping_base_and_optimized_would_be_seen(n: int) -> None:
    """With base and optimized swapped the true saving is hardly ever covered: these tests can fail."""
    base, optimized = pairs(n)

    assert coverage(log_ratio_bounds(optimized, base), 0.2) < 0.05
    assert coverage(fieller_bounds(optimized, base), 0.2) < 0.05


def test_bca_and_percentile_at_thirty() -> None:
    """At 30 pairs BCa covers 91-96.5 % of the saving of means."""
    rows = np.stack(pairs(30, sims=500), axis=1)
    bounds = bootstrap_bounds(rows, saving_of_means, Resampling(seed=3, n_resamples=600), method="BCa")

    assert 0.91 <= coverage(bounds, 0.2) <= 0.965


def test_why_the_percentile_bootstrap_is_refused_under_ten() -> None:
    """At 5 pairs a nominal 95 % percentile interval covers under 91 %: 86-88 % is what was found before."""
    rows = np.stack(pairs(5, sims=1000), axis=1)
    bounds = bootstrap_bounds(rows, saving_of_means, Resampling(seed=3, n_resamples=400), method="percentile")

    assert 0.80 <= coverage(bounds, 0.2) < 0.91


def saving_of_means(base: np.ndarray, optimized: np.ndarray, axis: int) -> np.ndarray:
    """1 - mean(optimized) / mean(base)."""
    return np.asarray(1 - optimized.mean(axis=axis) / base.mean(axis=axis))


@pytest.mark.parametrize("n", SIZES)
def test_jackknife_of_a_gap(n: int) -> None:
    """The gap of the product to a joint of 0.3, from blocks of logs (base, two singles, joint): 93-97 % coverage."""
    rng, sims = np.random.default_rng(5), 800
    truth = 1 - 0.8 * 0.7 - 0.3
    means = np.log([1.0, 0.8, 0.7, 0.7])
    logs = means + rng.normal(0, 0.1, (sims, n, 1)) + rng.normal(0, 0.05, (sims, n, 4))

    found = [jackknife(x, gap_of_product) for x in logs]
    assert 0.93 <= np.mean([f.low <= truth <= f.high for f in found]) <= 0.97


def gap_of_product(logs: np.ndarray) -> float:
    """Product of two single savings minus the joint saving, from mean logs of base, singles, joint."""
    base, first, second, joint = logs.mean(axis=0)
    singles = -np.expm1(np.array([first - base, second - base]))
    return independent(singles.tolist()) + float(np.expm1(joint - base))


@pytest.mark.parametrize("blocks", SIZES)
def test_factorial_effects(blocks: int) -> None:
    """The t interval over blocks covers each effect of a 2^3 design, whatever the blocks share."""
    rng = np.random.default_rng(9)
    truth = averaged(cells := rng.normal(0, 0.3, 8))
    y = cells[:, None, None] + rng.normal(0, 1.0, (1, blocks, S)) + rng.normal(0, 0.1, (8, blocks, S))
    contrasts = averaged(y)

    for m in range(1, 8):
        assert 0.938 <= coverage(mean_bounds(contrasts[m]), float(truth[m])) <= 0.962


def autoregressive(n: int, sims: int, rho: float = 0.5) -> np.ndarray:
    """Traces (sims, n) with mean 0 in which each value remembers ``rho`` of the last."""
    noise = np.random.default_rng(21).normal(0, 1, (sims, n))
    noise[:, 0] /= np.sqrt(1 - rho**2)
    for i in range(1, n):
        noise[:, i] += rho * noise[:, i - 1]
    return noise


@pytest.mark.parametrize("circular", [True, False])
def test_blocks_hold_where_single_draws_do_not(*, circular: bool) -> None:
    """On traces with memory blocks cover over 88 %, single draws under 80 %, of a nominal 95 %."""
    traces = autoregressive(200, 300)
    drawn = Resampling(seed=1, n_resamples=300)
    share = {length: np.mean([holds_zero(x, drawn, length=length, circular=circular) for x in traces]) for length in (None, 1)}

    assert share[None] >= 0.88
    assert share[1] <= 0.80


def holds_zero(trace: np.ndarray, drawn: Resampling, *, length: int | None, circular: bool) -> bool:
    """Whether the interval of the mean holds 0."""
    found = block_bootstrap(trace, lambda x: x.mean(axis=1), drawn, length=length, circular=circular)
    return found.low <= 0.0 <= found.high


def test_equivalence_errs_in_at_most_alpha() -> None:
    """Where the saving is exactly the margin, equivalence is claimed in 5 % of runs; where it is 0, in most."""
    rng = np.random.default_rng(2)
    noise = np.exp(rng.normal(0, 0.02, (600, 10)))
    ones = np.ones(10)

    wrong = np.mean([equivalent(ones, 0.97 * x, margin=0.03).equivalent for x in noise])
    right = np.mean([equivalent(ones, x, margin=0.03).equivalent for x in noise])
    assert 0.03 <= wrong <= 0.07
    assert right >= 0.9
