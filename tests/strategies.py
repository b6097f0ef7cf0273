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
