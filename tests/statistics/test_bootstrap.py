"""Bootstrap intervals: refused where they would lie, the same from the same seed, blocks drawn as they should be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from deltastack.errors import FormulaError
from deltastack.statistics import Resampling, bca, block_bootstrap, block_length, log_ratio, percentile
from deltastack.statistics.blocks import block_rows

SKEWED = np.random.default_rng(0).lognormal(0, 1, 60)
DRAWN = Resampling(seed=7, n_resamples=999)


def mean(x: np.ndarray) -> np.ndarray:
    """Of each drawn trace, (B, n) to (B,)."""
    return np.asarray(x.mean(axis=1))


def saving(base: np.ndarray, optimized: np.ndarray, axis: int) -> np.ndarray:
    """1 - mean(optimized) / mean(base)."""
    return np.asarray(1 - optimized.mean(axis=axis) / base.mean(axis=axis))


def test_bca_agrees_with_the_textbook_formula() -> None:
    """The ends are the quantiles of the resampled means at the levels that bias z0 and acceleration a of Efron's formula give."""
    found = bca(SKEWED, np.mean, Resampling(seed=7, n_resamples=20_000))
    rng = np.random.default_rng(1)
    means = SKEWED[rng.integers(0, 60, (20_000, 60))].mean(axis=1)
    without = (SKEWED.sum() - SKEWED) / 59
    d = without.mean() - without
    a, z0 = (d**3).sum() / (6 * (d**2).sum() ** 1.5), stats.norm.ppf(np.mean(means < SKEWED.mean()))
    levels = [stats.norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z))) for z in stats.norm.ppf([0.025, 0.975])]

    assert (found.low, found.high) == pytest.approx(np.quantile(means, levels), rel=0.02)
    assert found.high - SKEWED.mean() > SKEWED.mean() - found.low
    assert (found.estimate, found.n, found.method) == (pytest.approx(SKEWED.mean()), 60, "BCa bootstrap")


def test_pairs_are_drawn_whole() -> None:
    """A base and an optimized that rise and fall together give a narrow interval of their saving; drawn apart they would not."""
    base = np.random.default_rng(4).lognormal(0, 1, 40)
    together = bca(np.stack([base, 0.5 * base * np.linspace(0.99, 1.01, 40)], axis=1), saving, DRAWN)

    assert together.estimate == pytest.approx(0.5, abs=0.01)
    assert together.half_width < 0.01


def test_the_same_seed_gives_the_same_interval() -> None:
    """Nothing depends on a clock; another seed moves the ends a little."""
    assert bca(SKEWED, np.median, DRAWN) == bca(SKEWED, np.median, DRAWN)
    assert bca(SKEWED, np.median, DRAWN) != bca(SKEWED, np.median, Resampling(seed=8, n_resamples=999))
    assert block_bootstrap(SKEWED, mean, DRAWN) == block_bootstrap(SKEWED, mean, DRAWN)


def test_percentile_near_the_log_ratio_on_many_pairs() -> None:
    """At 60 pairs of lognormal noise the bootstrap of the mean log is the t interval within a tenth of its width."""
    base, optimized = np.ones(60), 0.8 * np.exp(np.random.default_rng(3).normal(0, 0.1, 60))
    ours = log_ratio(base, optimized)
    found = percentile(np.log(optimized), np.mean, DRAWN)

    assert -np.expm1(found.high) == pytest.approx(ours.low, abs=0.2 * ours.half_width)
    assert -np.expm1(found.low) == pytest.approx(ours.high, abs=0.2 * ours.half_width)


@pytest.mark.parametrize(("n", "length"), [(30, 7), (200, 12), (1000, 20), (1_000_000, 200)])
def test_block_length_by_hand(n: int, length: int) -> None:
    """Twice the cube root, rounded up."""
    assert block_length(n) == length


def test_blocks_are_neighbours() -> None:
    """Within a block rows follow each other; circular ones wrap, moving ones do not; the last block is cut."""
    rng = np.random.default_rng(0)
    wrapped = block_rows(10, 4, 500, rng, circular=True)
    moving = block_rows(10, 4, 500, rng, circular=False)

    for rows in (wrapped, moving):
        assert rows.shape == (500, 10)
        for start in (0, 4):
            assert np.all((rows[:, start + 1 : start + 4] - rows[:, start : start + 3]) % 10 == 1)
    assert np.any(wrapped[:, 3] < wrapped[:, 0])
    assert np.all(moving[:, 3] - moving[:, 0] == 3)
    assert set(np.unique(moving)) == set(range(10))


def test_circular_blocks_draw_every_moment_equally_often() -> None:
    """Moving blocks slight the ends of a trace, circular ones do not."""
    rng = np.random.default_rng(0)
    share = np.bincount(block_rows(20, 5, 5000, rng, circular=True).ravel(), minlength=20) / (5000 * 20)
    slighted = np.bincount(block_rows(20, 5, 5000, rng, circular=False).ravel(), minlength=20) / (5000 * 20)

    assert share == pytest.approx(np.full(20, 0.05), rel=0.05)
    assert slighted[0] < 0.02


def test_a_trace_longer_than_one_chunk_is_drawn_in_pieces() -> None:
    """A trace of 100,000 with two columns gives the interval of its saving without holding all draws at once."""
    rng = np.random.default_rng(5)
    base = rng.lognormal(0, 0.5, 100_000)
    rows = np.stack([base, 0.9 * base * rng.lognormal(0, 0.1, 100_000)], axis=1)
    found = block_bootstrap(
        rows, lambda x: 1 - x[:, :, 1].mean(axis=1) / x[:, :, 0].mean(axis=1), Resampling(seed=1, n_resamples=60)
    )

    assert found.low < 1 - 0.9 * np.exp(0.005) < found.high
    assert found.half_width < 0.005
    assert found.method == "circular block bootstrap, length 93"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bca(SKEWED[:29], np.mean, DRAWN), "values: 29 replicates, wanted at least 30: the bootstrap covers less"),
        (lambda: percentile(SKEWED[:9], np.mean, DRAWN), "values: 9 replicates, wanted at least 10"),
        (lambda: block_bootstrap(SKEWED[:29], mean, DRAWN), "trace: 29 replicates, wanted at least 30"),
        (lambda: bca(np.ones(10_001), np.mean, DRAWN), "wanted at most 10000 for BCa; use percentile"),
        (lambda: bca(np.ones(40), np.mean, DRAWN), "BCa bootstrap: the statistic does not vary"),
        (lambda: bca(np.append(SKEWED, np.nan), np.mean, DRAWN), "values: found nan at place 60"),
        (lambda: block_bootstrap(SKEWED, mean, DRAWN, length=61), "block length: found 61, wanted 1 to 60"),
        (lambda: block_bootstrap(SKEWED, mean, DRAWN, length=0), "block length: found 0"),
        (lambda: percentile(SKEWED, np.mean, Resampling(seed=1, confidence=1.0)), "confidence: found 1"),
    ],
)
def test_what_is_refused(call: object, words: str) -> None:
    """Too few, too many, constant, not finite: each is named with the way out."""
    with pytest.raises(FormulaError, match=words):
        call()  # type: ignore[operator]
