"""The largest rate that meets the goals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import CapacityError
from deltastack.fleet import capacity, settings
from deltastack.fleet.settings import Capacity
from tests.fakes import fake_trace

HOW = Capacity(requests=200, seed=3, tolerance=0.01)


@given(st.floats(0.01, 500))
def test_the_bracket_closes_on_the_limit(limit_per_s: float) -> None:
    """A deployment that misses above a limit has the largest rate at most 1 % below it, and never above."""
    found = capacity.largest(lambda rate: ["late"] if rate > limit_per_s else [], tolerance=0.01)

    assert limit_per_s / 1.01 <= found <= limit_per_s


def test_goals_that_nobody_meets() -> None:
    """Where even a lone request is late, the message says by what."""
    with pytest.raises(CapacityError, match=r"no rate meets the goals: even alone, TTFT p99 9 s > 3 s"):
        capacity.largest(lambda _: ["TTFT p99 9 s > 3 s"], tolerance=0.01)


def test_a_sample_too_small_to_tell() -> None:
    """Where nothing is missed at any rate the search ends, and says what to raise."""
    with pytest.raises(CapacityError, match=r"all at once; raise capacity\.requests"):
        capacity.largest(lambda _: [], tolerance=0.01)


def test_one_sample_at_every_rate() -> None:
    """Rates differ in the gaps' scale only: the requests are the same, and twice the rate takes half the time."""
    drawn = capacity.sample(fake_trace(1000, 5.0), HOW)
    slow, fast = capacity.at(drawn, 2.0), capacity.at(drawn, 4.0)

    assert np.array_equal(slow.prompt_tokens, fast.prompt_tokens)
    assert slow.arrival_s == pytest.approx(2 * fast.arrival_s, rel=1e-12)
    assert drawn.arrival_s[-1] / HOW.requests == pytest.approx(1.0, rel=1e-12)


def test_every_draw_has_requests_of_its_own() -> None:
    """Draw 2 searches with other requests than draw 0; the same draw always with the same, so cells of a draw are paired."""
    root = Path(__file__).parents[2]
    central, second, again = (settings.load(root, draw=n, draws=3).values.capacity for n in (0, 2, 2))
    trace = fake_trace(1000, 5.0)
    sizes = [capacity.sample(trace, how).prompt_tokens for how in (central, second, again)]

    assert central.seed == settings.load(root).values.capacity.seed
    assert not np.array_equal(sizes[0], sizes[1])
    assert np.array_equal(sizes[1], sizes[2])
