"""Speed-ups and savings, and what many small steps give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.composition import compound, delta_to_gain, gain_to_delta, independent, modules_exact, modules_needed
from deltastack.errors import FormulaError


def test_by_hand() -> None:
    """2x saves 50 %, 1.5x saves a third, 0.5x costs as much again; 39.4 % less is 1.65x."""
    assert gain_to_delta(2.0) == 0.5
    assert gain_to_delta(1.5) == pytest.approx(1 / 3)
    assert gain_to_delta(0.5) == -1.0
    assert gain_to_delta(1.65) == pytest.approx(0.394, abs=5e-4)
    assert delta_to_gain(-1.0) == 0.5
    assert compound(-1.0, 2) == -1.0
    assert delta_to_gain(np.array([0.5, 0.75])).tolist() == [2.0, 4.0]


def test_modules_by_hand() -> None:
    """+50 % takes 40.75 steps of +1 %, so 41; -20 % takes 22.2 of -1 %, so 23; half takes 68.97, so 69."""
    assert modules_exact(0.5, 0.01) == pytest.approx(40.75, abs=0.005)
    assert modules_exact(-0.2, -0.01) == pytest.approx(22.20, abs=0.005)
    assert modules_exact(-0.5, -0.01) == pytest.approx(68.97, abs=0.005)
    assert [modules_needed(0.5, 0.01), modules_needed(-0.2, -0.01), modules_needed(-0.5, -0.01)] == [41, 23, 69]


@given(st.floats(0.01, 100))
def test_gain_and_saving_come_back(gain: float) -> None:
    """A gain turned into a saving and back is the gain."""
    assert delta_to_gain(gain_to_delta(gain)) == pytest.approx(gain, rel=1e-9)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=6))
def test_speed_ups_multiply_where_savings_compose(gains: list[float]) -> None:
    """The product of speed-ups is the speed-up of the composed saving: two ways to say one formula."""
    together = independent([gain_to_delta(g) for g in gains])

    assert delta_to_gain(together) == pytest.approx(float(np.prod(gains)), rel=1e-9)


@given(st.floats(-0.5, 0.5), st.integers(0, 40))
def test_compound_agrees_with_the_loop(step: float, n: int) -> None:
    """A loop of equal steps, each on what the last one left."""
    amount = 1.0
    for _ in range(n):
        amount += amount * step

    assert compound(step, n) == pytest.approx(amount - 1, rel=1e-9, abs=1e-12)


@given(st.floats(0.001, 0.2), st.integers(1, 60), st.sampled_from([1, -1]))
def test_modules_needed_is_the_least_that_reaches_the_target(size: float, n: int, sign: int) -> None:
    """What n steps give needs n steps, a little more needs n + 1."""
    step = sign * size
    target = compound(step, n)

    assert modules_needed(target, step) == n
    assert modules_needed(compound(step, n) + 0.01 * step * (1 + target), step) == n + 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gain_to_delta(0.0), "gain: found 0; a gain is a positive factor"),
        (lambda: gain_to_delta(float("nan")), "gain: found nan"),
        (lambda: delta_to_gain(1.0), "Δ: found 1; a saving of everything"),
        (lambda: delta_to_gain(1.1), r"Δ: found 1\.1; a saving is at most 1"),
        (lambda: compound(-1.5, 2), "wanted a step of at least -1"),
        (lambda: compound(0.1, -1), "a count of at least 0"),
        (lambda: compound(float("nan"), 1), "one_percent: found nan"),
        (lambda: modules_needed(0.5, -0.01), "two changes of one sign"),
        (lambda: modules_needed(0.5, 0.0), "neither zero"),
        (lambda: modules_needed(-1.0, -0.01), "both above -1"),
        (lambda: modules_needed(float("inf"), 0.01), "target and change a module: found inf"),
    ],
)
def test_what_is_refused(call: object, words: str) -> None:
    """Outside its domain each says what was wanted."""
    with pytest.raises(FormulaError, match=words):
        call()  # type: ignore[operator]
