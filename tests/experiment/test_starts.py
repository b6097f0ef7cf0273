"""Starts apart from serving: by hand, from runs, and what is charged to how many requests."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.experiment.ledger import Entry
from deltastack.experiment.meter import Quantity, Reading
from deltastack.experiment.plan import Kind, Slot
from deltastack.experiment.starts import LOADED, STARTED, Start, Starts, charged, of_entries
from deltastack.report.text.starts import lines

SEVERAL = {"base": Start(0.2, 0.010), "int8": Start(0.3, 0.008), "sleepy": Start(0.3, 0.011), "quick": Start(0.1, 0.011)}


def run(cell: str, used_s: float, **figures: float) -> Entry:
    """One run of eight requests."""
    slot = Slot(start=0, block=0, position=0, cell=cell, kind=Kind.RUN)
    return Entry(
        slot=slot, readings={Quantity.CPU_S: Reading(used_s, "hand")}, components={}, quality={"requests": 8.0, **figures}
    )


def test_by_hand() -> None:
    """0.1 s more at the start, 2 ms less a request: 50 requests; less at both: at once; more at both: never."""
    found = Starts(serves=1000, cells=SEVERAL)

    assert found.break_even("int8") == pytest.approx(50)
    assert found.break_even("quick") == 0
    assert found.break_even("sleepy") == math.inf
    assert found.share("base") == pytest.approx(0.2 / 10.2)
    told = found.plain()
    assert told["cells"]["sleepy"]["break_even_requests"] is None
    assert lines("testbed", told, ("int8", "sleepy", "quick"))[0] == (
        "a start, testbed: 0.200 s of processor time, 2.0 % of what its 1,000 requests take; earned back by int8 after 50 "
        "requests, sleepy never, quick at once"
    )


def test_loading_inside_a_session_is_taken_out_of_its_requests() -> None:
    """8 requests of 10 ms and 8 / 1000 of a load of 0.2 s: the request is 10 ms; a server's start is in no reading."""
    inside = of_entries([run("base", 0.08 + 0.2 * 8 / 1000, **{LOADED: 0.2})], 1000)
    before = of_entries([run("base", 0.08, **{STARTED: 0.2})], 1000)

    assert inside is not None
    assert before is not None
    assert inside.cells["base"] == before.cells["base"] == pytest.approx((0.2, 0.01))
    assert of_entries([run("base", 0.08)], 1000) is None
    assert of_entries([run("base", 0.08, **{STARTED: 0.2})], None) is None


@given(st.floats(0.01, 1), st.floats(0.001, 0.1), st.floats(0.001, 0.5), st.floats(0.01, 0.9))
def test_at_the_break_even_both_cost_the_same(start_s: float, request_s: float, extra_s: float, saved: float) -> None:
    """Just so many requests cost as much in the cell as in the base."""
    other = Start(start_s + extra_s, request_s * (1 - saved))
    n = Starts(serves=1, cells={"base": Start(start_s, request_s), "x": other}).break_even("x")

    assert start_s + n * request_s == pytest.approx(other.start_s + n * other.request_s)


@pytest.mark.parametrize(("requests", "serves", "share"), [(8, 1000, 0.008), (8, None, 1.0), (8, 8, 1.0), (16, 8, 1.0)])
def test_what_is_charged(requests: float, serves: int | None, share: float) -> None:
    """A session is charged its part of a start, and never more than one."""
    assert charged(requests, serves) == share
