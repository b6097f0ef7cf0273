"""The range of draws: by hand, and how often it holds a further one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.statistics import drawn_ends, predictive


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
