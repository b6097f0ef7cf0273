"""Effects, interactions, Shapley values and order range of 2^k cells."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapiq import ExactComputer, Game

from deltastack.composition import interaction, pairwise
from deltastack.errors import FormulaError
from deltastack.statistics import at_base, averaged, order_range, pair_table, shapley


def tables(most: int = 4) -> st.SearchStrategy[list[float]]:
    """One number for each of 2^k cells, k up to ``most``; nothing for no layer."""
    sizes = st.integers(1, most)
    return sizes.flatmap(lambda k: st.lists(st.floats(-1, 1), min_size=2**k - 1, max_size=2**k - 1).map(lambda v: [0.0, *v]))


def subsets(m: int) -> list[int]:
    """All sets within the set of the bits of ``m``."""
    return [s for s in range(m + 1) if s & m == s]


def loop_at_base(y: list[float], m: int) -> float:
    """The alternating sum over the subsets of ``m``."""
    return sum((-1) ** (m.bit_count() - s.bit_count()) * y[s] for s in subsets(m))


def loop_averaged(y: list[float], m: int) -> float:
    """The alternating sum over the subsets of ``m``, averaged over what the other layers may be."""
    others = [o for o in range(len(y)) if not o & m]
    return sum((-1) ** (m.bit_count() - s.bit_count()) * y[s | o] for s in subsets(m) for o in others) / len(others)


def loop_orders(v: list[float]) -> list[list[float]]:
    """Each layer's marginal saving in each order of switching on."""
    count = (len(v) - 1).bit_length()
    found: list[list[float]] = [[] for _ in range(count)]
    for order in itertools.permutations(range(count)):
        on = 0
        for i in order:
            found[i].append(v[on | 1 << i] - v[on])
            on |= 1 << i
    return found


def test_effects_by_hand() -> None:
    """Cells {}, A, B, AB at 0, -1, -2, -2.5: at base A -1, B -2, AB +0.5; averaged A -0.75, B -1.75, AB +0.5."""
    y = [0.0, -1.0, -2.0, -2.5]

    assert at_base(y).tolist() == [0.0, -1.0, -2.0, 0.5]
    assert averaged(y).tolist() == [-1.375, -0.75, -1.75, 0.5]


@given(tables())
def test_effects_agree_with_the_loops(y: list[float]) -> None:
    """The fast transforms are the definitions."""
    places = range(len(y))

    assert at_base(y) == pytest.approx([loop_at_base(y, m) for m in places])
    assert averaged(y) == pytest.approx([loop_averaged(y, m) for m in places])


@given(tables())
def test_effects_at_base_add_up_to_each_cell(y: list[float]) -> None:
    """Nothing is lost: a cell is the sum of the effects of its subsets."""
    found = at_base(y)

    assert [sum(found[s] for s in subsets(m)) for m in range(len(y))] == pytest.approx(y)


@given(st.lists(st.floats(-0.5, 0.9), min_size=1, max_size=4))
def test_layers_that_multiply_have_no_interactions(deltas: list[float]) -> None:
    """Where the product holds, both kinds of effect are ln(1 - Δ) for one layer and 0 for several."""
    count = len(deltas)
    y = [sum(math.log1p(-deltas[i]) for i in range(count) if m >> i & 1) for m in range(2**count)]

    for found in (at_base(y), averaged(y)):
        for m in range(1, 2**count):
            want = y[m] if m.bit_count() == 1 else 0.0
            assert found[m] == pytest.approx(want, abs=1e-9)


@given(st.lists(st.floats(-1, 1), min_size=6, max_size=6))
def test_pairs_at_base_are_the_betas_of_the_pairwise_formula(values: list[float]) -> None:
    """From the single and pair cells of three layers, `pairwise` gives back each pair, and the all-on cell if no triple acts."""
    one, two, three, ab, ac, bc = values
    y = np.array([0.0, one, two, one + two + ab, three, one + three + ac, two + three + bc, one + two + three + ab + ac + bc])
    table = pair_table(y)
    deltas = (-np.expm1(y[[1, 2, 4]])).tolist()

    assert table == pytest.approx(np.array([[0, ab, ac], [ab, 0, bc], [ac, bc, 0]]))
    assert table[0, 1] == pytest.approx(interaction(deltas[0], deltas[1], -math.expm1(y[3])), abs=1e-9)
    symmetric = ((table + table.T) / 2).tolist()
    assert pairwise(deltas, symmetric) == pytest.approx(-math.expm1(y[7]), rel=1e-9, abs=1e-9)


def test_shapley_by_hand() -> None:
    """A 0.2, B 0.5, both 0.6: A brings 0.2 or 0.1, B 0.5 or 0.4: shares 0.15 and 0.45; the ranges say what can be argued."""
    v = [0.0, 0.2, 0.5, 0.6]
    least, greatest = order_range(v)

    assert shapley(v).tolist() == pytest.approx([0.15, 0.45])
    assert least.tolist() == pytest.approx([0.1, 0.4])
    assert greatest.tolist() == pytest.approx([0.2, 0.5])


@given(tables())
def test_shapley_and_range_agree_with_all_orders(v: list[float]) -> None:
    """The mean, the least and the greatest marginal over all orders; shares add up to the joint saving."""
    orders = loop_orders(v)
    least, greatest = order_range(v)

    assert shapley(v) == pytest.approx([np.mean(x) for x in orders], abs=1e-9)
    assert least == pytest.approx([min(x) for x in orders])
    assert greatest == pytest.approx([max(x) for x in orders])
    assert shapley(v).sum() == pytest.approx(v[-1], abs=1e-9)
    assert np.all(least <= shapley(v) + 1e-9)
    assert np.all(shapley(v) <= greatest + 1e-9)


@pytest.mark.parametrize("count", [2, 5])
def test_shapley_agrees_with_shapiq(count: int) -> None:
    """An independent implementation gives the same exact values on a random table."""
    v = np.concatenate([[0.0], np.random.default_rng(count).uniform(-0.5, 0.9, 2**count - 1)])

    def value(coalitions: np.ndarray) -> np.ndarray:
        return np.asarray(v[coalitions @ (1 << np.arange(count))])

    class Savings(Game):
        """The saving of a set of layers."""

        def value_function(self, coalitions: np.ndarray) -> np.ndarray:
            """Look the sets up."""
            return value(coalitions)

    theirs = ExactComputer(game=Savings(n_players=count, normalize=False), n_players=count)("SV", order=1)
    assert shapley(v).tolist() == pytest.approx([theirs[(i,)] for i in range(count)], abs=1e-12)


def test_draws_on_the_last_axis() -> None:
    """Every function takes (2^k, S) and gives each draw what it gives alone."""
    y = np.random.default_rng(0).normal(size=(8, 3))

    for one in (at_base, averaged, shapley, pair_table, lambda x: order_range(x)[0], lambda x: order_range(x)[1]):
        together = one(y)
        for s in range(3):
            assert together[..., s] == pytest.approx(one(y[:, s]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: at_base([1.0, 2.0, 3.0]), r"cells: found 3, wanted one for each of the 2\^k sets"),
        (lambda: averaged([1.0, float("nan")]), "cells: found nan at place 1"),
        (lambda: shapley([]), "savings: none given"),
        (lambda: order_range([0.0] * 6), "savings: found 6"),
    ],
)
def test_what_is_refused(call: object, words: str) -> None:
    """Tables that are not full, finite and replicated are named."""
    with pytest.raises(FormulaError, match=words):
        call()  # type: ignore[operator]
