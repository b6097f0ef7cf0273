"""Encoders that sleep: by hand, against foresight, and the identity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltastack.errors import OutOfValidityError, ParamsError
from deltastack.fleet.deployment import Encoder
from deltastack.fleet.effects import sleep
from deltastack.fleet.simulator import Config, Requests, simulate
from tests.fakes import fake_tables, fake_trace

TABLES = fake_tables()
CONFIG = Config(kv_capacity_tokens=400_000, encoder_pool=1)
TORN = Encoder(placement="pool", pool_size=1, sleep_policy="timeout", wake_s=40.0)
AT_STAKE = sleep.SleepTradeoff(saved_w=50.0, wake_j=8000.0)
ENDLESS = sleep.SleepTradeoff(saved_w=0.0, wake_j=8000.0)


def _images(*arrival_s: float) -> Requests:
    """Requests of one image each at these times."""
    count = len(arrival_s)
    ones = np.ones(count, np.int64)
    return replace(
        fake_trace(count, 1.0),
        arrival_s=np.array(arrival_s),
        images=ones,
        image_tokens=196 * ones,
        prompt_tokens=300 * ones,
        output_tokens=10 * ones,
    )


def test_by_hand() -> None:
    """Break-even 160 s: a gap of 100 s is idled through, one of 500 s sleeps from 160 s on, and the image there waits 40 s."""
    requests = _images(100.0, 600.0)
    seen, pool = sleep.served(TABLES, requests, CONFIG, encoder=TORN, sleep_tradeoff=AT_STAKE)
    encode_s = pool.busy_s / 2

    assert pool.wakes == 1
    assert pool.idle_s == pytest.approx(100 + 160)
    assert pool.asleep_s == pytest.approx(500 - encode_s - 160)
    assert seen.delay_s == pytest.approx([encode_s, 40 + encode_s])
    assert seen.cached_images.tolist() == [1, 1]


def test_after_the_last_image_it_falls_asleep() -> None:
    """Until 1000 s, 360 s after its last image, an encoder idles its 160 s and sleeps the rest."""
    _, pool = sleep.served(TABLES, _images(100.0, 600.0), CONFIG, encoder=TORN, sleep_tradeoff=AT_STAKE)
    end = sleep.until(pool, 1000.0, encoder=TORN, sleep_tradeoff=AT_STAKE)

    assert end.idle_s - pool.idle_s == pytest.approx(160)
    assert end.asleep_s - pool.asleep_s == pytest.approx(1000 - pool.free_s[0] - 160)


def test_one_that_never_sleeps_is_the_simulator_s_own_pool() -> None:
    """With an endless timeout every request is served as behind the pool that the simulator knows."""
    requests = fake_trace(300, 4.0)
    own = simulate(TABLES, requests, CONFIG)
    seen, pool = sleep.served(TABLES, requests, CONFIG, encoder=TORN, sleep_tradeoff=ENDLESS)
    ours = simulate(TABLES, seen, replace(CONFIG, encoder_pool=0))

    assert ours.finish_s == pytest.approx(own.finish_s, rel=1e-9)
    assert pool.busy_s == pytest.approx(own.encoder_s, rel=1e-12)
    assert sleep.until(pool, ours.span_s, encoder=TORN, sleep_tradeoff=ENDLESS).idle_s == pytest.approx(
        own.encoder_idle_s, rel=1e-9
    )


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(1.0, 2000.0), min_size=1, max_size=30))
def test_the_timeout_spends_at_most_twice_what_foresight_does(gaps_s: list[float]) -> None:
    """Karlin et al. 1994: energy above asleep, of a timeout at break-even, is at most twice that of the best choice each gap.

    The bound is of gaps in which waking is not in the way: wake-ups take no time here.
    """
    requests = _images(*np.cumsum(gaps_s))
    spent = {}
    for policy in ("timeout", "oracle"):
        encoder = replace(TORN, sleep_policy=policy, wake_s=0.0)
        _, pool = sleep.served(TABLES, requests, CONFIG, encoder=encoder, sleep_tradeoff=AT_STAKE)
        spent[policy] = AT_STAKE.saved_w * pool.idle_s + AT_STAKE.wake_j * pool.wakes

    assert spent["oracle"] <= spent["timeout"] * (1 + 1e-9)
    assert spent["timeout"] <= 2 * spent["oracle"] * (1 + 1e-9)


def test_randomised_timeouts_follow_their_density() -> None:
    """The mean of tau ~ e^(tau/T) on 0..T is T / (e - 1) = 0.582 T."""
    drawn = sleep._timeouts_s("randomised", 160.0, 40_000)

    assert drawn.max() <= 160
    assert drawn.mean() == pytest.approx(160 / (np.e - 1), rel=0.01)


def test_what_is_refused() -> None:
    """A policy that nobody knows, and a closed loop."""
    with pytest.raises(ParamsError, match=r"encoder\.sleep_policy = 'nap', must be one of always_on, timeout"):
        sleep.sleeps(replace(TORN, sleep_policy="nap"))
    with pytest.raises(OutOfValidityError, match="need a trace with arrivals"):
        sleep.served(TABLES, _images(1.0), replace(CONFIG, clients=2), encoder=TORN, sleep_tradeoff=AT_STAKE)
