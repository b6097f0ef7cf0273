"""The range of draws: by hand, and how often it holds a further one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.statistics import drawn_ends, holds_further, predictive

if TYPE_CHECKING:
    from numpy.typing import NDArray


def test_by_hand() -> None:
    """Of 79 draws 0..78 the ranks 2 and 78 of 80 x 2.5 %; of 5 the least and the greatest; of one, itself."""
    assert predictive(range(79)) == (pytest.approx(1.0), pytest.approx(77.0))
    assert predictive([3.0, 1.0, 5.0, 2.0, 4.0]) == (1.0, 5.0)
    assert predictive([2.0]) == (2.0, 2.0)


@pytest.mark.parametrize(("n", "holds"), [(5, 4 / 6), (39, 0.95), (100, 0.95)])
def test_it_holds_a_further_draw_as_often_as_it_says(n: int, holds: float) -> None:
    """4,000 times n skewed draws and one more: inside in (n - 1) / (n + 1) of cases, or in 95 % from 39 on."""
    drawn = np.exp(np.random.default_rng(n).normal(size=(4000, n + 1)))
    ends = [predictive(d[1:]) for d in drawn]
    inside = np.mean([low <= d[0] <= high for d, (low, high) in zip(drawn, ends, strict=True)])

    assert inside == pytest.approx(holds, abs=3.5 * np.sqrt(holds * (1 - holds) / 4000))


def test_nineteen_and_the_central_one_hold_a_further_draw() -> None:
    """4,000 times the centre of a skewed model, 19 Latin draws of its three ranges and a further one: inside in 90 % or more."""
    random, inside = np.random.default_rng(20), 0
    for _ in range(4000):
        shares = np.array([random.permutation(19) for _ in range(3)]).T
        quantiles = np.vstack([np.full(3, 0.5), (shares + random.random((19, 3))) / 19])
        low, high = drawn_ends(model(quantiles))
        assert low is not None
        assert high is not None
        inside += low <= model(random.random((1, 3)))[0] <= high

    assert holds_further(20) == 0.9
    assert inside / 4000 >= 0.9 - 1.6 * np.sqrt(0.09 / 4000)


def model(quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """A saving by three parameters at quantiles of their ranges, (N, 3), that hangs on the first most of all."""
    first, second, third = quantiles.T
    return 1 - np.exp(-first) * (1 + 0.3 * second**2) / (1 + 0.1 * third)


def test_five_hold_it_less_often_than_was_said() -> None:
    """Four independent draws and a central one inside them hold a further one in 60 % of cases, not in 67 %."""
    drawn = np.random.default_rng(5).normal(size=(4000, 5))
    ends = [drawn_ends([0.0, *d[1:]]) for d in drawn]
    held = [bool(low <= d[0] <= high) for d, (low, high) in zip(drawn, ends, strict=True)]  # type: ignore[operator]

    assert holds_further(5) == 0.6
    assert np.mean(held) >= 0.6


def test_the_central_draw_is_always_inside() -> None:
    """200 draws of 1 after a central one of 9, or of -9: the ends reach to it; a single draw has none."""
    assert drawn_ends([9.0, *[1.0] * 200]) == (1.0, 9.0)
    assert drawn_ends([-9.0, *[1.0] * 200]) == (-9.0, 1.0)
    assert drawn_ends([2.0]) == (None, None)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.floats(0.5, 0.99))
def test_ends_are_among_the_draws(draws: list[float], confidence: float) -> None:
    """Never beyond what was drawn, and never in the wrong order."""
    low, high = predictive(draws, confidence=confidence)

    assert min(draws) <= low <= high <= max(draws)
