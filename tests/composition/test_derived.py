"""Idle as the rest: by hand, a slow loop, the identity, nothing negative."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack import composition
from deltastack.errors import FormulaError

BASE_S = np.array([4.0, 2.0, 4.0])
ALONE_S = np.array([[2.0, 2.0, 6.0], [4.0, 1.0, 5.0]])
"""10 s provisioned: feed-forward, attention, idle; one layer halves the first, another the second."""


def test_the_rest_by_hand() -> None:
    """Idle is 10 - 2 - 1 = 7 s, so that a fixed fleet saves exactly 0; scaling says 4 x 1.5 x 1.25 = 7.5 s, a loss of 5 %."""
    left = composition.with_rest(BASE_S, ALONE_S, 2)

    assert left.tolist() == [2.0, 1.0, 7.0]
    assert 1 - left.sum() / BASE_S.sum() == 0.0
    assert float(composition.by_component_amounts(BASE_S, ALONE_S)) == pytest.approx(-0.05)


def test_a_rate_by_hand() -> None:
    """100 W busy and 10 W idle: 200 + 100 + 7 x 10 J; the second layer's idle accelerators draw half: 7 x 5 J."""
    watts = np.array([100.0, 100.0, 10.0])
    time_s = (BASE_S[2], ALONE_S[:, 2], np.array(7.0))
    halved = ALONE_S * watts * np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.5]])

    assert composition.with_rate(BASE_S * watts, ALONE_S * watts, 2, time_s).tolist() == [200.0, 100.0, 70.0]
    assert composition.with_rate(BASE_S * watts, halved, 2, time_s).tolist() == [200.0, 100.0, 35.0]


def test_a_fleet_that_gives_back_shrinks_what_is_provisioned() -> None:
    """A layer that gives back 3 of 10 s leaves 7 provisioned: with feed-forward halved idle is 7 - 2 - 2 = 3 s."""
    alone = np.array([[2.0, 2.0, 6.0], [4.0, 2.0, 1.0]])

    assert composition.with_rest(BASE_S, alone, 2).tolist() == [2.0, 2.0, 3.0]


def test_what_lies_outside_is_not_provisioned() -> None:
    """A fourth component outside scales by itself and leaves the rest alone."""
    base, alone = np.append(BASE_S, 8.0), np.column_stack([ALONE_S, [4.0, 8.0]])

    assert composition.with_rest(base, alone, 2, (3,)).tolist() == [2.0, 1.0, 7.0, 4.0]


amounts = st.floats(0.01, 10.0)


@given(st.integers(1, 3), st.integers(2, 4), st.data())
def test_the_slow_loop_agrees(layers: int, components: int, data: st.DataObject) -> None:
    """The same by loops over layers and components; idle is never negative and one layer alone gives itself back."""
    rows = [data.draw(st.lists(amounts, min_size=components, max_size=components)) for _ in range(layers + 1)]
    base, alone, idle = rows[0], rows[1:], components - 1
    left = [b * math.prod(a[c] / b for a in alone) for c, b in enumerate(base)]
    whole = sum(base) * math.prod(sum(a) / sum(base) for a in alone)
    left[idle] = max(whole - sum(left[:idle]), 0.0)
    found = composition.with_rest(np.array(base), np.array(alone), idle)

    assert found == pytest.approx(left, rel=1e-9, abs=1e-9)
    assert found[idle] >= 0
    assert composition.with_rest(np.array(base), np.array(alone[:1]), idle) == pytest.approx(alone[0], rel=1e-9, abs=1e-9)


def test_draws_stay_apart() -> None:
    """(C, S) amounts give (C, S), each draw its own."""
    base, alone = np.stack([BASE_S, 2 * BASE_S], axis=-1), np.stack([ALONE_S, 2 * ALONE_S], axis=-1)

    assert composition.with_rest(base, alone, 2).T.tolist() == [[2.0, 1.0, 7.0], [4.0, 2.0, 14.0]]


def test_refusals() -> None:
    """A negative amount, or nothing at all."""
    with pytest.raises(FormulaError, match="not negative"):
        composition.with_rest(-BASE_S, ALONE_S, 2)
    with pytest.raises(FormulaError, match="positive amount"):
        composition.with_rate(0 * BASE_S, 0 * ALONE_S, 2, (BASE_S[2], ALONE_S[:, 2], BASE_S[2]))
