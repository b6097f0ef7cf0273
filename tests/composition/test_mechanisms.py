"""The product with shared mechanisms counted once: by hand, its limits, and a slow loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deltastack import composition
from deltastack.errors import FormulaError

SAVED = st.floats(-0.9, 0.9)


def test_an_h100_by_hand() -> None:
    """0.837 x 1.567 x 1.434 x 0.744 x 0.937 / 1.567 leaves 0.8368."""
    alone = [0.163, -0.567, -0.434, 0.256, 0.063]
    uses = [[False], [True], [True], [False], [False]]
    assert composition.independent(alone) == pytest.approx(-0.3112, abs=5e-5)
    assert composition.by_mechanism(alone, [-0.567], uses) == pytest.approx(1 - 0.837 * 1.434 * 0.744 * 0.937)


@given(deltas=arrays.arrays(float, (4, 3), elements=SAVED), mechanisms=arrays.arrays(float, (2, 3), elements=SAVED))
def test_without_a_shared_mechanism_it_is_the_product(deltas: np.ndarray, mechanisms: np.ndarray) -> None:
    """Nothing is counted twice, so nothing is corrected."""
    uses = [[True, False], [False, True], [False, False], [False, False]]
    np.testing.assert_allclose(composition.by_mechanism(deltas, mechanisms, uses), composition.independent(deltas), atol=1e-12)


@given(
    own=st.lists(SAVED, min_size=3, max_size=3),
    mechanisms=st.lists(SAVED, min_size=2, max_size=2),
    uses=st.lists(st.lists(st.booleans(), min_size=2, max_size=2), min_size=3, max_size=3),
)
def test_it_is_exact_where_its_model_holds(own: list[float], mechanisms: list[float], uses: list[list[bool]]) -> None:
    """Build every amount from own effects and mechanisms, slowly, and find the joint amount again."""
    alone = []
    for effect, used in zip(own, uses, strict=True):
        left = 1 - effect
        for m, on in zip(mechanisms, used, strict=True):
            left *= (1 - m) if on else 1
        alone.append(1 - left)
    joint = math.prod(1 - e for e in own)
    for i, m in enumerate(mechanisms):
        joint *= (1 - m) if any(used[i] for used in uses) else 1
    assert composition.by_mechanism(alone, mechanisms, uses) == pytest.approx(1 - joint, abs=1e-9)


@pytest.mark.parametrize(
    ("deltas", "mechanisms", "uses", "word"),
    [
        ([1.0, 0.1], [0.1], [[True], [True]], "logarithm"),
        ([0.1, 0.1], [1.0], [[True], [True]], "logarithm"),
        ([0.1, 0.1], [0.1], [[True, True]], "layers by mechanisms"),
        ([0.1], [float("nan")], [[True]], "finite"),
    ],
)
def test_what_it_cannot_compose_is_refused(
    deltas: list[float], mechanisms: list[float], uses: list[list[bool]], word: str
) -> None:
    """No logarithm of nothing, no shape that does not meet."""
    with pytest.raises(FormulaError, match=word):
        composition.by_mechanism(deltas, mechanisms, uses)
