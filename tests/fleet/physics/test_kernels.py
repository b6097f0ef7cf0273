"""Measured kernels over tokens: by hand, bounds, limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import OutOfValidityError
from deltastack.fleet.physics.kernels import time_factor


def test_by_hand() -> None:
    """2 at 1 token and 1 at 100 give 1.5 at 10, 2 below 1 and 1 above 100."""
    assert time_factor([0.5, 1, 10, 100, 1e6], [1, 100], [2, 1]) == pytest.approx([2, 2, 1.5, 1, 1])


@given(st.lists(st.floats(0.1, 3.0), min_size=1, max_size=6), st.floats(0.01, 1e6))
def test_it_lies_between_its_measurements_and_meets_them(factor: list[float], tokens: float) -> None:
    """Never below the least nor above the greatest measured factor; exactly the factor at every measured count."""
    at = [2.0**i for i in range(len(factor))]

    assert time_factor(at, at, factor) == pytest.approx(factor)
    assert min(factor) - 1e-12 <= time_factor([tokens], at, factor)[0] <= max(factor) + 1e-12


@pytest.mark.parametrize(
    ("at", "factor"), [([], []), ([1.0], [1.0, 2.0]), ([2.0, 1.0], [1.0, 1.0]), ([1.0], [0.0]), ([0.0], [1.0])]
)
def test_refusals(at: list[float], factor: list[float]) -> None:
    """No measurement, columns of different lengths, counts that fall, a factor or a count of 0."""
    with pytest.raises(OutOfValidityError, match="one positive factor for each of its rising token counts"):
        time_factor(np.array([1.0]), at, factor)
