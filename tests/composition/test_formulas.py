"""The formulas: worked by hand, against slow loops, their special cases and bounds, and what they refuse."""

from __future__ import annotations

import doctest
import importlib
import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltastack import composition
from deltastack.composition import (
    additive,
    by_component,
    by_component_amounts,
    delta,
    gap,
    independent,
    interaction,
    pairwise,
    weighted,
)
from deltastack.errors import FormulaError
from tests import strategies

if TYPE_CHECKING:
    import random

CLOSE = 1e-12


def loop_independent(deltas: list[float]) -> float:
    """What is left after each layer in turn, layer by layer."""
    left = 1.0
    for d in deltas:
        left -= left * d
    return 1.0 - left


def loop_by_component(weights: list[float], table: list[list[float]]) -> float:
    """What is left of each share after each layer in turn."""
    left = 0.0
    for c, share in enumerate(weights):
        part = share
        for row in table:
            part -= part * row[c]
        left += part
    return 1.0 - left


def loop_pairwise(deltas: list[float], beta: list[list[float]]) -> float:
    """The product of what is left, times exp β of each pair once."""
    left = 1.0 - loop_independent(deltas)
    for i, j in itertools.combinations(range(len(deltas)), 2):
        left *= math.exp(beta[i][j])
    return 1.0 - left


@pytest.mark.parametrize("name", ["formulas", "gains", "interactions"])
def test_examples_in_docstrings(name: str) -> None:
    """The hand-worked case in each docstring prints what it says."""
    found = doctest.testmod(importlib.import_module(f"{composition.__name__}.{name}"))

    assert found.attempted > 0
    assert found.failed == 0


def test_delta_by_hand() -> None:
    """10 J to 8 J saves 20 %; 10 J to 12 J costs 20 %; nothing is clipped at either end."""
    assert delta(10.0, 8.0) == pytest.approx(0.2)
    assert delta(10.0, 12.0) == pytest.approx(-0.2)
    assert delta(10.0, 0.0) == 1.0
    assert delta(1.0, 100.0) == -99.0
    assert delta(np.array([10.0, 4.0]), np.array([5.0, 6.0])) == pytest.approx([0.5, -0.5])


def test_the_papers_two_examples_by_hand() -> None:
    """10 % and 15 %: 1 - 0.9 x 0.85 = 23.5 %; on shares 0.6 and 0.4: 6 % + 6 % = 12 %."""
    assert independent([0.10, 0.15]) == pytest.approx(0.235, abs=CLOSE)
    assert weighted([0.10, 0.15], [0.6, 0.4]) == pytest.approx(0.12, abs=CLOSE)


def test_by_component_by_hand() -> None:
    """0.6 x 0.5 x 0.9 + 0.3 x 1.2 x 0.9 + 0.1 x 1 x 0.9 = 0.27 + 0.324 + 0.09 = 0.684 is left."""
    table = [[0.5, -0.2, 0.0], [0.1, 0.1, 0.1]]

    assert by_component([0.6, 0.3, 0.1], table) == pytest.approx(0.316, abs=CLOSE)


def test_by_component_from_amounts_by_hand() -> None:
    """6, 3, 1 and 0 J; layer A: 3, 3.6, 1, 0; B: 5.4, 2.7, 0.9, 0.5: left 2.7 + 3.24 + 0.9 + 0.5 = 7.34 of 10 J."""
    base = np.array([6.0, 3.0, 1.0, 0.0])
    optimized = np.array([[3.0, 3.6, 1.0, 0.0], [5.4, 2.7, 0.9, 0.5]])

    assert by_component_amounts(base, optimized) == pytest.approx(0.266, abs=CLOSE)


def test_pairwise_by_hand() -> None:
    """0.8 x 0.5 x 0.9 = 0.36 is left by the product; β of ln 2 and ln 0.75 leave 0.54."""
    two, less = math.log(2.0), math.log(0.75)

    assert pairwise([0.2, 0.5, 0.1], [[0, two, 0], [two, 0, less], [0, less, 0]]) == pytest.approx(0.46, abs=CLOSE)


def test_interaction_by_hand() -> None:
    """20 % and 50 % alone, 50 % together: twice the same thing, β = ln(0.5 / 0.4) > 0; 70 % together: β = ln(0.3 / 0.4) < 0."""
    assert interaction(0.2, 0.5, 0.5) == pytest.approx(math.log(1.25), abs=CLOSE)
    assert interaction(0.2, 0.5, 0.7) == pytest.approx(math.log(0.75), abs=CLOSE)


def test_gap_is_positive_where_the_formula_promises_too_much() -> None:
    """Promised 77 %, seen 62 %: +15 points."""
    assert gap(0.77, 0.62) == pytest.approx(0.15, abs=CLOSE)
    assert gap(np.array([0.1, 0.5]), np.array([0.2, 0.5])) == pytest.approx([-0.1, 0.0])


@given(strategies.delta_lists(), st.randoms())
def test_independent_agrees_with_the_loop_in_any_order(deltas: list[float], rng: random.Random) -> None:
    """The product is what each layer in turn leaves of the rest, and order does not matter."""
    shuffled = rng.sample(deltas, len(deltas))

    assert independent(deltas) == pytest.approx(loop_independent(deltas), rel=1e-9, abs=1e-9)
    assert independent(shuffled) == pytest.approx(independent(deltas), rel=1e-9, abs=1e-9)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6))
def test_bounds_of_savings_that_are_not_negative(deltas: list[float]) -> None:
    """The product saves no less than the best layer alone, no more than the sum, and never more than all."""
    together = independent(deltas)

    assert max(deltas) - CLOSE <= together <= min(1.0, additive(deltas)) + CLOSE


@given(strategies.deltas, strategies.delta_lists())
def test_a_layer_that_does_nothing_changes_nothing(first: float, others: list[float]) -> None:
    """A Δ of exactly 0 leaves each formula where it was."""
    deltas = [first, *others]
    none = [[0.0] * (len(deltas) + 1)] * (len(deltas) + 1)

    assert independent([*deltas, 0.0]) == pytest.approx(independent(deltas), rel=1e-12)
    assert additive([*deltas, 0.0]) == pytest.approx(additive(deltas), rel=1e-12)
    assert pairwise([*deltas, 0.0], none) == pytest.approx(independent(deltas), rel=1e-9, abs=1e-9)


@given(strategies.component_cases())
def test_by_component_agrees_with_the_loop(case: tuple[list[float], list[list[float]]]) -> None:
    """The table of shares and savings gives what a loop over components and layers gives."""
    weights, table = case

    assert by_component(weights, table) == pytest.approx(loop_by_component(weights, table), rel=1e-9, abs=1e-9)


@given(strategies.component_cases())
def test_by_component_of_amounts_is_by_component(case: tuple[list[float], list[list[float]]]) -> None:
    """Where every component is used at base, amounts and shares give the same."""
    weights, table = case
    base = 7.0 * np.array(weights)

    found = by_component_amounts(base, base * (1 - np.array(table)))
    assert found == pytest.approx(by_component(weights, table), rel=1e-9, abs=1e-9)


@given(strategies.component_cases(), st.randoms())
def test_by_component_is_free_of_order_and_inside_its_components(
    case: tuple[list[float], list[list[float]]], rng: random.Random
) -> None:
    """Layers and components may be listed in any order; the total lies between the worst and the best component."""
    weights, table = case
    order = rng.sample(range(len(weights)), len(weights))
    shuffled = [[row[c] for c in order] for row in rng.sample(table, len(table))]
    parts = [loop_independent([row[c] for row in table]) for c in range(len(weights))]
    found = by_component(weights, table)

    assert by_component([weights[c] for c in order], shuffled) == pytest.approx(found, rel=1e-9, abs=1e-9)
    assert min(parts) - 1e-9 <= found <= max(parts) + 1e-9


@given(strategies.delta_lists())
def test_by_component_with_one_component_is_independent(deltas: list[float]) -> None:
    """One component that is all of the usage: the product."""
    assert by_component([1.0], [[d] for d in deltas]) == pytest.approx(independent(deltas), rel=1e-9, abs=1e-9)


@given(strategies.delta_lists().flatmap(lambda d: st.tuples(st.just(d), strategies.shares(len(d)))))
def test_by_component_with_one_layer_a_component_is_weighted(case: tuple[list[float], list[float]]) -> None:
    """Each layer alone in its own component: the weighted sum, which is the sum of shares of the whole."""
    deltas, weights = case
    table = np.diag(deltas).tolist()

    assert by_component(weights, table) == pytest.approx(weighted(deltas, weights), rel=1e-9, abs=1e-9)
    assert additive([w * d for w, d in zip(weights, deltas, strict=True)]) == pytest.approx(weighted(deltas, weights))


@given(strategies.delta_lists(4), st.data())
def test_pairwise_agrees_with_the_loop(deltas: list[float], data: st.DataObject) -> None:
    """The product times exp β of each pair, each pair once."""
    count = len(deltas)
    upper = np.triu(
        np.array(data.draw(st.lists(st.floats(-0.5, 0.5), min_size=count**2, max_size=count**2))).reshape(count, count), 1
    )
    beta = (upper + upper.T).tolist()

    assert pairwise(deltas, beta) == pytest.approx(loop_pairwise(deltas, beta), rel=1e-9, abs=1e-9)


@given(strategies.deltas, strategies.deltas, strategies.deltas)
def test_pairwise_with_the_observed_interaction_is_the_observed_joint(first: float, second: float, joint: float) -> None:
    """For two layers, β of the observation gives the observation back."""
    beta = interaction(first, second, joint)

    assert pairwise([first, second], [[0.0, beta], [beta, 0.0]]) == pytest.approx(joint, rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_draws_on_the_last_axis_are_composed_one_by_one(layers: int, components: int, draws: int, seed: int) -> None:
    """Each formula on (..., S) is the scalar formula on each draw, with weights that are drawn or fixed."""
    rng = np.random.default_rng(seed)
    table = rng.uniform(-1, 0.9, (layers, components, draws))
    weights = rng.dirichlet(np.ones(components), draws).T
    shares = rng.dirichlet(np.ones(layers))
    half = rng.uniform(-0.3, 0.3, (layers, layers, draws))
    beta = half + half.swapaxes(0, 1)
    beta[np.arange(layers), np.arange(layers)] = 0
    one = table[:, 0]

    for s in range(draws):
        singles, cells = one[:, s].tolist(), table[:, :, s].tolist()
        assert independent(one)[s] == pytest.approx(independent(singles))
        assert additive(one)[s] == pytest.approx(additive(singles))
        assert weighted(one, shares)[s] == pytest.approx(weighted(singles, shares.tolist()))
        assert by_component(weights, table)[s] == pytest.approx(by_component(weights[:, s].tolist(), cells))
        assert by_component(weights[:, 0], table)[s] == pytest.approx(by_component(weights[:, 0].tolist(), cells))
        assert by_component(weights, table[:, :, 0])[s] == pytest.approx(
            by_component(weights[:, s].tolist(), table[:, :, 0].tolist())
        )
        assert pairwise(one, beta)[s] == pytest.approx(pairwise(singles, beta[:, :, s].tolist()))
        amounts = by_component_amounts(weights, weights * (1 - table))
        assert amounts[s] == pytest.approx(by_component_amounts(weights[:, s], weights[:, s] * (1 - table[:, :, s])))
        one_run = by_component_amounts(weights, 1 - table[:, :, 0])
        assert one_run[s] == pytest.approx(by_component_amounts(weights[:, s], 1 - table[:, :, 0]))


def test_inputs_are_left_alone() -> None:
    """No formula changes its arguments."""
    deltas, weights = np.array([[0.1], [0.2]]), np.array([0.5, 0.5])
    independent(deltas)
    weighted(deltas, weights)
    by_component(weights, deltas[:, None, :].repeat(2, axis=1))

    assert deltas.tolist() == [[0.1], [0.2]]
    assert weights.tolist() == [0.5, 0.5]


def test_one_percent_each_cannot_tell_the_formulas_apart() -> None:
    """At 1 % each on two equal shares of one whole the product and the sum differ by 0.01 point; at 30 % each by 9 points."""
    assert additive([0.01, 0.01]) - independent([0.01, 0.01]) == pytest.approx(0.0001, abs=CLOSE)
    assert additive([0.3, 0.3]) - independent([0.3, 0.3]) == pytest.approx(0.09, abs=CLOSE)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: independent([]), "Δ: none given"),
        (lambda: additive([]), "Δ: none given; wanted at least one"),
        (lambda: independent([0.1, 1.5]), r"Δ: found 1\.5 at place 1; a saving is at most 1 .* write 15 % as 0\.15"),
        (lambda: independent([0.1, float("nan")]), "Δ: found nan at place 1; wanted finite numbers"),
        (lambda: independent([float("-inf")]), "Δ: found -inf at place 0"),
        (
            lambda: independent(np.array([[0.1, 2.0], [3.0, 4.0], [5.0, 0.0]])),
            "found 2 at place 0, 1, 3 at place 1, 0, 4 at place 1, 1 and 1 more",
        ),
        (lambda: independent(["a"]), "Δ: wanted numbers of one shape, found"),  # type: ignore[list-item]
        (lambda: independent(np.array(0.5)), r"Δ: wanted at least 1 axes, found shape \(\)"),
        (lambda: delta(0.0, 1.0), "R_base: found 0; a saving is a share of a positive amount"),
        (lambda: delta(-1.0, 1.0), "R_base: found -1"),
        (lambda: delta(1.0, -0.5), r"R_opt: found -0\.5; an amount is not negative"),
        (lambda: delta(1.0, float("nan")), "R_opt: found nan"),
        (lambda: weighted([0.1, 0.2], [0.5, 0.4]), r"weights: they sum to 0\.9, wanted 1; add the rest"),
        (lambda: weighted([0.1, 0.2], [1.5, -0.5]), r"weights: found -0\.5 at place 1; a share of the whole is not negative"),
        (lambda: weighted([0.1, 0.2], [1.0]), r"weights: shape \(1,\) does not meet shape \(2,\)"),
        (lambda: weighted([0.1, 0.2], []), "weights: none given"),
        (lambda: weighted([0.1, 0.2], [0.5, float("nan")]), "weights: found nan"),
        (lambda: by_component([0.5, 0.5], [[0.1], [0.2]]), r"weights: shape \(2,\) does not meet shape \(1,\)"),
        (lambda: by_component([1.0], [0.1]), r"Δ: wanted at least 2 axes"),  # type: ignore[list-item]
        (lambda: by_component([0.5, 0.5], [[0.1, 0.2], [0.3]]), "Δ: wanted numbers of one shape"),
        (lambda: by_component(np.full((2, 3), 0.5), np.zeros((1, 2, 4))), "does not meet shape"),
        (lambda: by_component_amounts(np.zeros(2), np.ones((1, 2))), "sum of R_base: found 0"),
        (lambda: by_component_amounts(np.ones(2), -np.ones((1, 2))), "R_opt: found -1 at place 0, 0"),
        (lambda: by_component_amounts(-np.ones(2), np.ones((1, 2))), "R_base: found -1 at place 0"),
        (lambda: pairwise([0.1, 1.0], [[0, 0], [0, 0]]), "Δ: found 1 at place 1; nothing is left"),
        (lambda: pairwise([0.1, 0.2], [[0, 1], [2, 0]]), "β: wanted a symmetric table"),
        (lambda: pairwise([0.1, 0.2], [[1, 0], [0, 0]]), "a zero diagonal: one number a pair"),
        (lambda: pairwise([0.1, 0.2], [[0]]), r"β: shape \(1, 1\) does not fit 2 layers"),
        (lambda: interaction(0.1, 0.2, 1.0), "Δ: found 1; nothing is left"),
        (lambda: gap(float("inf"), 0.1), "formula: found inf"),
        (lambda: gap(0.1, float("nan")), "joint: found nan"),
    ],
)
def test_what_is_refused(call: object, words: str) -> None:
    """Outside its domain a formula says what was wanted and what was found; bad input is exit 2."""
    with pytest.raises(FormulaError, match=words) as caught:
        call()  # type: ignore[operator]
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
