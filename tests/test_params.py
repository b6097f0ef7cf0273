"""Ranges in parameter files and what is drawn from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack import params
from deltastack.errors import ParamsError
from deltastack.model import Evidence
from deltastack.stack import Stack

WAKE = {"value": 2.0, "low": 1.0, "high": 6.0, "source": "a test", "date": "2026", "evidence": "assumed"}
TREE = {"sleep": {"wake_s": WAKE, "policy": "timeout"}, "plain": 3}


def test_by_hand() -> None:
    """Draw 0 is the central value, and plain values stay; the range is known as assumed under its dotted name."""
    drawn = params.draw(TREE, "a.yaml")

    assert drawn.values == {"sleep": {"wake_s": 2.0, "policy": "timeout"}, "plain": 3}
    assert drawn.evidence == {"sleep.wake_s": Evidence.ASSUMED}


@given(st.integers(2, 30))
def test_draws_are_a_latin_hypercube(of: int) -> None:
    """Each of n - 1 equal shares of probability is drawn from once: the median of a range is its central value."""
    found = sorted(params.draw(TREE, "a.yaml", number=n, of=of).values["sleep"]["wake_s"] for n in range(1, of))
    ranks = [(v - 1) / 2 if v <= 2 else 1 / 2 + (v - 2) / 8 for v in found]

    assert [int(r * (of - 1)) for r in ranks] == list(range(of - 1))


def test_equal_names_have_equal_draws() -> None:
    """A draw means the same number wherever the same file is read; another name draws another."""
    other = {"sleep": {"reload_s": WAKE}}
    first = params.draw(TREE, "a.yaml", number=2, of=5).values["sleep"]["wake_s"]

    assert params.draw(TREE, "a.yaml", number=2, of=5).values["sleep"]["wake_s"] == first
    assert params.draw(other, "a.yaml", number=2, of=5).values["sleep"]["reload_s"] != first


def test_a_value_outside_its_range_is_named() -> None:
    """The message says which number, and its range."""
    with pytest.raises(ParamsError, match=r"a.yaml: wake_s: .*value 7 lies outside its range 1 .. 6"):
        params.draw({"wake_s": WAKE | {"value": 7.0}}, "a.yaml")


def test_a_draw_that_there_is_not_is_refused() -> None:
    """There is no draw 3 of 3."""
    with pytest.raises(ParamsError, match="no draw 3 of 3"):
        params.draw(TREE, "a.yaml", number=3, of=3)


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ({"profile": "default"}, "profile is called effort now: rename the key in params/stack.yaml"),
        ({"effort": "default", "factorials": {"x": {"bench": "fleet", "input": "i", "quoted": "q"}}}, "quoted is no longer read"),
    ],
)
def test_a_stack_under_old_names_is_told_the_new_ones(old: dict[str, object], words: str) -> None:
    """Names of before are refused with what to do."""
    with pytest.raises(ParamsError, match=words):
        params.parse({"layers": ["idle"], "tolerance": 0.02, "confidence": 0.95} | old, Stack, "stack.yaml")
