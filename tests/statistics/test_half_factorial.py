"""The half of five layers: which cells, and effects that agree with the whole factorial where no three layers interact."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltastack.errors import FormulaError
from deltastack.statistics import averaged, half, half_effects

numbers = st.floats(-2, 2)


def test_the_cells_of_the_half() -> None:
    """The base and every cell with 1, 3 or 5 layers on: 1 + 5 + 10 + 1 = 17."""
    assert list(half()) == [0, *sorted(m for m in range(32) if m.bit_count() % 2)]


def test_no_contrast_is_another_ones() -> None:
    """Resolution V: the signs of the five layers and ten pairs are fifteen different, balanced columns of the 16 cells."""
    run = half()[1:]
    signs = [[1 if m >> i & 1 else -1 for m in run] for i in range(5)]
    columns = [*signs, *([a * b for a, b in zip(signs[i], signs[j], strict=True)] for i, j in combinations(range(5), 2))]

    table = np.array(columns)
    assert (table @ table.T == 16 * np.eye(15)).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(numbers, min_size=5, max_size=5), st.lists(numbers, min_size=10, max_size=10), numbers)
def test_half_agrees_with_the_whole(alone: list[float], pairs: list[float], base: float) -> None:
    """With single and pair effects only, the half's effects are those averaged over all 32 cells."""
    beta = dict(zip(combinations(range(5), 2), pairs, strict=True))
    y = np.zeros(32)
    for m in range(32):
        on = [i for i in range(5) if m >> i & 1]
        y[m] = base + sum(alone[i] for i in on) + sum(beta[p] for p in combinations(on, 2))
    whole = averaged(y)

    for layers, effect in half_effects(y).items():
        assert effect == pytest.approx(whole[sum(1 << i for i in layers)], abs=1e-9)


def test_other_numbers_of_cells_are_refused() -> None:
    """Sixteen cells are no five layers."""
    with pytest.raises(FormulaError, match="found 16, wanted the 32 sets"):
        half_effects(np.zeros(16))
