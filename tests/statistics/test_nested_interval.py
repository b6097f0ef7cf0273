"""The mean of nested replicates: by hand, against plain analysis of variance, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from deltastack import statistics
from deltastack.errors import EvidenceError
from deltastack.statistics.nested_interval import POOLING_ALPHA, mean_of

series = st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=2, max_size=6)


def test_groups_that_differ_by_hand() -> None:
    """1, 1.2 | 3, 3.2 | 5, 5.2: means 1.1, 3.1, 5.1, so 3.1 ± t(2) x 2 / √3 = 4.968."""
    found = mean_of([[1.0, 1.2], [3.0, 3.2], [5.0, 5.2]])

    assert (found.freedom, found.pooled) == (2, False)
    assert (found.value, found.half_width) == pytest.approx((3.1, 4.9683), abs=1e-4)
    assert found.p == pytest.approx(2 * stats.t.sf(3.1 / (2 / 3**0.5), 2))


def test_one_group_is_the_t_interval() -> None:
    """1, 2, 3 in one group: 2 ± 2.484, as the plain interval of a mean."""
    found = mean_of([[1.0, 2.0, 3.0]])

    assert (found.value, found.half_width) == pytest.approx((2.0, 2.4841), abs=1e-4)
    assert found.p == pytest.approx(float(stats.ttest_1samp([1.0, 2.0, 3.0], 0.0).pvalue))


@settings(max_examples=60, deadline=None)
@given(series)
def test_the_slow_twin(groups: list[list[float]]) -> None:
    """Pooled or not as the F test of plain analysis of variance says; the interval that of all values, or of the means."""
    every, means = np.ravel(groups), np.mean(groups, axis=1)
    rounded = np.round(groups, 6)
    if (rounded.std(axis=1) < 1e-3).any():
        return
    found_p = float(stats.f_oneway(*groups).pvalue)
    p = 1.0 if np.isnan(found_p) else found_p  # equal means, a variance of -1e-17 between them
    if abs(p - POOLING_ALPHA) < 1e-6:
        return
    found = mean_of(groups)
    units = every if p > POOLING_ALPHA else means

    assert found.pooled == (p > POOLING_ALPHA)
    twin = statistics.mean_interval(units)
    assert (found.value, found.half_width) == pytest.approx((twin.estimate, twin.half_width), abs=1e-9)


def test_a_mean_without_spread() -> None:
    """Equal values are sure: 0 is a mean of 0, anything else is not."""
    assert mean_of([[0.0, 0.0], [0.0]]).p == 1
    assert mean_of([[2.0, 2.0], [2.0]]).p == 0


@pytest.mark.parametrize("groups", [[], [[1.0]], [[1.0, 2.0], []]])
def test_no_spread_is_refused(groups: list[list[float]]) -> None:
    """One replicate, or a group without any, is refused with its sizes."""
    with pytest.raises(EvidenceError, match="at least two pairs and none in an empty start"):
        mean_of(groups)
