"""A run as a piece of an endless stream: by hand, and no time is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.fleet import endless
from deltastack.fleet.effects import sleep
from deltastack.fleet.simulator import Config, Result, simulate
from tests.fakes import fake_tables, fake_trace

FOUND = simulate(fake_tables(), fake_trace(60, 2.0), Config(kv_capacity_tokens=200_000, replicas=2))


def busy_s(result: Result) -> float:
    """Of all components."""
    return result.encoder_s + result.attention_s + result.ffn_s + result.other_s + result.host_s


def test_by_hand() -> None:
    """Two replicas, 20 s, 25 s of it idle: 15 s busy. Over 10 s, 5 are idle; over 6 s none, and busy times are 12 / 15."""
    run = replace(FOUND, span_s=20.0, idle_s=25.0, ffn_s=6.0, asleep_s=5.0, waking_s=2.5)
    wide, narrow = endless.result(run, 2, 10.0), endless.result(run, 2, 6.0)

    assert (wide.span_s, wide.idle_s, wide.ffn_s, wide.asleep_s, wide.waking_s) == (10.0, 5.0, 6.0, 1.0, 0.5)
    assert (narrow.span_s, narrow.idle_s, narrow.asleep_s) == (6.0, 0.0, 0.0)
    assert narrow.ffn_s == pytest.approx(4.8)


@given(st.floats(0.01, 1e4))
def test_components_and_idle_are_all_the_time_there_is(period_s: float) -> None:
    """Whatever the period: busy and idle add up to two replicas over it, and nothing is negative."""
    seen = endless.result(FOUND, 2, period_s)

    assert busy_s(seen) + seen.idle_s == pytest.approx(2 * period_s, rel=1e-9)
    assert seen.idle_s >= 0
    assert seen.decode_attention_s <= seen.attention_s * (1 + 1e-12)


def test_a_pool_by_hand() -> None:
    """Three encoders, 4 s busy, two wakes of half a second, over 5 s: 10 s are left, three quarters of them asleep as before."""
    pool = sleep.Pool(4.0, 1.0, 3.0, 2, FOUND.idle_gap_s)
    seen = endless.pool(pool, encoders=3, wake_s=0.5, span_s=5.0)

    assert seen is not None
    assert (seen.busy_s, seen.idle_s, seen.asleep_s) == (4.0, 2.5, 7.5)
    assert endless.pool(None, encoders=0, wake_s=0.5, span_s=5.0) is None
