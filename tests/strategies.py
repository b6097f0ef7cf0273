"""Hypothesis strategies for the nouns of the domain; the only place where they live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from deltastack.model import Basis, Bench, Component, Evidence, Resource

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)


def amount_and_reason() -> SearchStrategy[tuple[float | None, str | None]]:
    """An amount without a reason, or a reason without an amount."""
    return st.one_of(st.tuples(finite, st.none()), st.tuples(st.none(), words))


@st.composite
def usage_rows(draw: st.DrawFn) -> list[tuple[object, ...]]:
    """Rows of the USAGE contract with distinct keys; each bench has its one host."""
    keys = st.tuples(
        st.sampled_from(list(Bench)),
        st.sampled_from(list(Basis)),
        st.integers(0, 2**40),
        st.sampled_from(list(Component)),
        st.sampled_from(list(Resource)),
    )
    rows: list[tuple[object, ...]] = []
    for key in draw(st.lists(keys, unique=True, max_size=8)):
        amount, reason = draw(amount_and_reason())
        rows.append((*key, amount, draw(st.sampled_from(list(Evidence))), reason, f"host of {key[0]}", draw(st.booleans())))
    return rows


deltas = st.floats(-2.0, 0.95)
"""Savings, signed; away from 1 so that logarithms stay tame."""


def delta_lists(most: int = 6) -> SearchStrategy[list[float]]:
    """Savings of one to ``most`` layers."""
    return st.lists(deltas, min_size=1, max_size=most)


@st.composite
def shares(draw: st.DrawFn, count: int) -> list[float]:
    """``count`` shares of a whole, none negative."""
    parts = draw(st.lists(st.floats(0.01, 1.0), min_size=count, max_size=count))
    return [p / sum(parts) for p in parts]


@st.composite
def component_cases(draw: st.DrawFn) -> tuple[list[float], list[list[float]]]:
    """Shares by component, (C,), and savings of each layer in each component, (L, C)."""
    components, layers = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    table = draw(st.lists(st.lists(deltas, min_size=components, max_size=components), min_size=layers, max_size=layers))
    return draw(shares(components)), table
