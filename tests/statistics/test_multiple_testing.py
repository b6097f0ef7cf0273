"""Equivalence and families of tests: by hand, against loops and scipy, bounds, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import FormulaError
from deltastack.statistics import holm

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def loop_holm(p: list[float]) -> list[float]:
    """Each p-value's adjusted value from the definition."""
    ranked = sorted(p)
    return [min(1.0, max((len(p) - j) * ranked[j] for j in range(len(p)) if ranked[j] <= one)) for one in p]


def test_holm_by_hand() -> None:
    """0.01, 0.02, 0.03, 0.5: 0.04, 0.06, then 2 x 0.03 = 0.06, then 0.5; in the order given."""
    assert holm([0.5, 0.02, 0.01, 0.03]).tolist() == pytest.approx([0.5, 0.06, 0.04, 0.06])


@given(probabilities)
def test_holm_agrees_with_the_loop_and_never_strengthens(p: list[float]) -> None:
    """The vectorised form is the definition, p by p; an adjusted p is never below the given one."""
    found = holm(p)

    assert found.tolist() == pytest.approx(loop_holm(p))
    assert (found >= np.array(p) - 1e-12).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: holm([]), "p: none given; wanted"),
        (lambda: holm([0.5, 1.5]), r"p: found 1\.5 at place 1; a probability"),
        (lambda: holm([-0.1]), r"p: found -0\.1 at place 0"),
        (lambda: holm([float("nan")]), "p: found nan"),
    ],
)
def test_what_is_refused(call: object, words: str) -> None:
    """What is no probability, no margin, no pair of pairs is named."""
    with pytest.raises(FormulaError, match=words):
        call()  # type: ignore[operator]
