"""Intervals of ratios: worked by hand, their symmetries, and what they refuse."""

from __future__ import annotations

import doctest
import importlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from deltastack import statistics
from deltastack.errors import FormulaError
from deltastack.statistics import Interval, jackknife, log_ratio, log_ratio_bounds, log_ratio_unpaired, mean_interval

T2 = 4.302652729911275
"""Student's t, 97.5 %, 2 degrees of freedom."""

amounts = st.lists(st.tuples(st.floats(0.5, 20), st.floats(0.5, 20)), min_size=3, max_size=8)


@pytest.mark.parametrize(
    "name", ["aa_noise", "interval", "multiple_testing", "power", "prediction_interval", "ratio", "shapley_values"]
)
def test_examples_in_docstrings(name: str) -> None:
    """The hand-worked case in each docstring prints what it says."""
    found = doctest.testmod(importlib.import_module(f"{statistics.__name__}.{name}"))

    assert found.attempted > 0
    assert found.failed == 0


def test_log_ratio_by_hand() -> None:
    """Ratios 0.4, 0.5, 0.625: mean log ln 0.5, s = ln 1.25, so Δ = 0.5 with ends 1 - 0.5 exp(± 4.303 ln 1.25 / √3)."""
    found = log_ratio([10.0, 10.0, 8.0], [4.0, 5.0, 5.0])
    half = T2 * math.log(1.25) / math.sqrt(3)

    assert found.estimate == pytest.approx(0.5)
    assert (found.low, found.high) == pytest.approx((1 - 0.5 * math.exp(half), 1 - 0.5 * math.exp(-half)))
    assert (found.n, found.confidence, found.method) == (3, 0.95, "paired log-ratio t")


def test_welch_by_hand() -> None:
    """Without pairs the interval is the two-sample Welch interval of the logs, turned into a saving."""
    base, optimized = [8.0, 10.0, 12.5], [4.0, 5.0, 5.0, 6.25]
    found = log_ratio_unpaired(base, optimized)
    twin = stats.ttest_ind(np.log(optimized), np.log(base), equal_var=False).confidence_interval(0.95)

    assert found.estimate == pytest.approx(1 - math.exp(np.mean(np.log(optimized)) - np.mean(np.log(base))))
    assert (found.low, found.high) == pytest.approx((1 - math.exp(twin.high), 1 - math.exp(twin.low)))


def test_jackknife_of_a_mean_is_the_t_interval() -> None:
    """For the mean the pseudo-values are the values themselves."""
    values = [1.0, 2.0, 4.0, 8.0]
    found, twin = jackknife(values, lambda x: float(x.mean())), mean_interval(values)

    assert (found.estimate, found.low, found.high) == pytest.approx((twin.estimate, twin.low, twin.high))


def test_jackknife_by_hand() -> None:
    """The square of the mean of 1, 2, 3: all 4; without one 6.25, 4, 2.25; pseudo-values -0.5, 4, 7.5: s/√3 = 2.3214."""
    found = jackknife([1.0, 2.0, 3.0], lambda x: float(x.mean()) ** 2)
    half = T2 * math.sqrt(((-0.5 - 11 / 3) ** 2 + (4 - 11 / 3) ** 2 + (7.5 - 11 / 3) ** 2) / 2 / 3)

    assert found.estimate == 4.0
    assert (found.low, found.high) == pytest.approx((4 - half, 4 + half))


@given(amounts, st.floats(0.01, 100))
def test_units_do_not_matter(pairs: list[tuple[float, float]], scale: float) -> None:
    """Joules or kilojoules: the saving and its interval are the same."""
    base, optimized = np.array(pairs).T
    one, other = log_ratio(base, optimized), log_ratio(base * scale, optimized * scale)

    assert (one.low, one.estimate, one.high) == pytest.approx((other.low, other.estimate, other.high), rel=1e-6, abs=1e-9)


@given(amounts)
def test_swapping_base_and_optimized_turns_the_ratio_over(pairs: list[tuple[float, float]]) -> None:
    """1 - Δ backwards is 1 / (1 - Δ), at the estimate and at both ends, the other way round."""
    base, optimized = np.array(pairs).T
    one, back = log_ratio(base, optimized), log_ratio(optimized, base)

    assert 1 - back.estimate == pytest.approx(1 / (1 - one.estimate))
    assert 1 - back.low == pytest.approx(1 / (1 - one.high))
    assert 1 - back.high == pytest.approx(1 / (1 - one.low))


@given(amounts, st.permutations(range(8)))
def test_the_order_of_pairs_does_not_matter(pairs: list[tuple[float, float]], order: list[int]) -> None:
    """Pairs may come in any order as long as they stay together."""
    shuffled = [pairs[i] for i in order if i < len(pairs)]

    for method in (log_ratio,):
        one, other = method(*np.array(pairs).T), method(*np.array(shuffled).T)
        assert one is None or other is None or (one.low, one.high) == pytest.approx((other.low, other.high), rel=1e-6, abs=1e-9)


@settings(max_examples=20)
@given(amounts)
def test_columns_agree_with_the_loop(pairs: list[tuple[float, float]]) -> None:
    """Many simulations at once give what one at a time gives; a wider confidence gives a wider interval."""
    base, optimized = np.array(pairs).T
    bounds = log_ratio_bounds(np.stack([base, base * 2], axis=1), np.stack([optimized, optimized], axis=1))
    first, second = log_ratio(base, optimized), log_ratio(base * 2, optimized)

    assert bounds.low == pytest.approx([first.low, second.low])
    assert bounds.high == pytest.approx([first.high, second.high])
    assert log_ratio(base, optimized, confidence=0.99).half_width >= first.half_width


def test_ratio_to_saving_swaps_the_ends() -> None:
    """A ratio of 0.8, 0.7 to 0.95, saves 0.2, 0.05 to 0.3."""
    ratio = Interval(estimate=0.8, low=0.7, high=0.95, confidence=0.95, n=5, method="x")

    found = ratio.saving()
    assert (found.estimate, found.low, found.high) == pytest.approx((0.2, 0.05, 0.3))
    assert found.half_width == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: log_ratio([1.0], [1.0]), "base: 1 replicates, wanted at least 2"),
        (lambda: log_ratio([1.0, 0.0], [1.0, 1.0]), "base: found 0 at place 1; a log ratio needs positive amounts"),
        (lambda: log_ratio([1.0, 1.0], [1.0, -1.0]), "optimized: found -1 at place 1"),
        (lambda: log_ratio([1.0, 1.0], [1.0, 1.0, 1.0]), r"base has shape \(2,\), optimized \(3,\)"),
        (lambda: log_ratio([1.0, float("nan")], [1.0, 1.0]), "base: found nan at place 1"),
        (lambda: log_ratio([1.0, 2.0], [1.0, 1.0], confidence=95), "confidence: found 95, wanted a fraction"),
        (lambda: mean_interval([1.0, 2.0], confidence=1.0), "confidence: found 1, wanted"),
        (lambda: mean_interval([1.0, 2.0], confidence=0.0), "confidence: found 0, wanted"),
        (lambda: log_ratio_unpaired([1.0], [1.0, 2.0]), "base: 1 replicates"),
        (lambda: mean_interval([]), "values: none given"),
        (lambda: jackknife([1.0], lambda x: float(x.mean())), "blocks: 1 replicates"),
        (lambda: Interval(estimate=0.0, low=1.0, high=0.0, confidence=0.95, n=2, method="x"), "no interval: 1 to 0"),
        (lambda: Interval(estimate=0.0, low=float("nan"), high=0.0, confidence=0.95, n=2, method="x"), "no interval: nan"),
    ],
)
def test_what_is_refused(call: object, words: str) -> None:
    """Too few, not positive, not finite, not paired: each is named."""
    with pytest.raises(FormulaError, match=words):
        call()  # type: ignore[operator]


def test_pairs_without_spread_have_an_interval_of_no_width() -> None:
    """A deterministic bench gives the same ratio each time: the interval is the point."""
    found = log_ratio([4.0, 8.0], [3.0, 6.0])

    assert found.low == found.estimate == found.high == pytest.approx(0.25)
    assert log_ratio_unpaired([4.0, 4.0], [3.0, 3.0]).half_width == 0.0
