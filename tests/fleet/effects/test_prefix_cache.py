"""Prefixes that a trace tells: forgotten when room is gone, and found on a replica that computed them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.fleet.effects import prefix_cache
from deltastack.fleet.simulator import Requests

COUNT = 2000


def told(reuse_tokens: int, reuse_requests: int, count: int = COUNT) -> Requests:
    """Requests of 100 tokens, 64 of which each an earlier one brought."""
    ones = np.ones(count, np.int64)
    return Requests(
        arrival_s=np.arange(count, dtype=float),
        images=0 * ones,
        image_tokens=0 * ones,
        prompt_tokens=100 * ones,
        output_tokens=ones,
        cached_tokens=64 * ones,
        cached_images=0 * ones,
        delay_s=np.zeros(count),
        told_tokens=64 * ones,
        reuse_tokens=reuse_tokens * ones,
        reuse_requests=reuse_requests * ones,
    )


def test_a_cycle_longer_than_the_room_never_hits() -> None:
    """100 documents in a cycle through room for 99: the least recently used is the next that is wanted."""
    assert prefix_cache.remembered(told(100, 7), 99, 1).cached_tokens.sum() == 0
    assert prefix_cache.remembered(told(100, 7), 100, 1).cached_tokens.tolist() == [64] * COUNT


@pytest.mark.parametrize(("replicas", "brought", "share"), [(2, 1, 0.5), (4, 1, 0.25), (4, 2, 0.4375), (4, 100, 1.0)])
def test_a_prefix_is_on_the_replicas_that_computed_it(replicas: int, brought: int, share: float) -> None:
    """One earlier request: one replica in so many; what all bring is everywhere."""
    found = prefix_cache.there(told(1, brought), 10, replicas)
    assert found.mean() == pytest.approx(share, abs=2 / COUNT**0.5 / 10)


def test_what_is_not_told_stays() -> None:
    """A workload that knows its prefixes and not when they were used keeps them, on any number of replicas."""
    assert prefix_cache.remembered(told(0, 0), 0, 8).cached_tokens.tolist() == [64] * COUNT


@given(st.integers(0, 500), st.integers(0, 9), st.integers(0, 500), st.integers(1, 8))
def test_more_room_and_fewer_replicas_never_hold_less(reuse: int, brought: int, room: int, replicas: int) -> None:
    """Monotone in both."""
    requests = told(reuse, brought, 50)
    here = prefix_cache.there(requests, room, replicas)
    assert (here <= prefix_cache.there(requests, room + 1, replicas)).all()
    assert (prefix_cache.there(requests, room, replicas + 1) <= here).all()
