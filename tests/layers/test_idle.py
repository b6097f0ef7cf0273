"""The idle layer on the fleet bench."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from deltastack.errors import OutOfValidityError
from deltastack.fleet import accelerator, evaluate, settings
from deltastack.fleet.accounting.utilization import Load
from deltastack.fleet.effects import sleep
from deltastack.layers.idle import IDLE, EncoderSleep, EncoderSleepParams, ReplicaSleep, ReplicaSleepParams
from deltastack.layers.techniques import ConfiguredTechnique, chosen
from deltastack.model import Evidence, OperatingPoint, Resource
from tests.fakes import fake_trace

if TYPE_CHECKING:
    from deltastack.fleet.simulator import Requests

ROOT = Path(__file__).parents[2]
SETTINGS = settings.load(ROOT)
BASE = SETTINGS.values.deployment.deployment()
H100 = accelerator.load(ROOT, BASE.platform)
IDLE_W, ENDED_W = (SETTINGS.values.power.idle_w(H100, state) for state in ("context", "no_process"))
SAVED_W = IDLE_W - ENDED_W
SLEEP = EncoderSleepParams(
    policy="timeout",
    context="torn_down",
    dedicated=0,
    wake_s=0.4,
    reload_s=40,
    wake_share=200 / 700,
)
DEMAND = ReplicaSleepParams(policy="demand", released=True, timeout_s=300, cold_start_s=60, cold_start_share=0.3)


def small(values: settings.FleetParams = SETTINGS.values) -> settings.Settings:
    """Settings with a small sample at capacity."""
    return SETTINGS._replace(values=values.model_copy(update={"capacity": values.capacity.model_copy(update={"requests": 300})}))


def quiet(count: int, gap_s: float) -> Requests:
    """Requests so far apart that everything falls asleep between them, one image each."""
    ones = np.ones(count, np.int64)
    return replace(
        fake_trace(count, 1.0),
        arrival_s=gap_s * np.arange(1, count + 1),
        images=ones,
        image_tokens=196 * ones,
        prompt_tokens=300 * ones,
        output_tokens=50 * ones,
    )


@pytest.mark.parametrize(
    "one",
    [
        ConfiguredTechnique(technique=t, params=p, on=True, evidence=Evidence.ASSUMED)
        for t, p in (
            (EncoderSleep(), SLEEP),
            (EncoderSleep(), SLEEP.model_copy(update={"dedicated": 1})),
            (ReplicaSleep(), DEMAND),
        )
    ],
)
def test_a_control_changes_nothing(one: ConfiguredTechnique) -> None:
    """With its policy off, every amount on both bases is that of the base to the last bit."""
    requests, off = fake_trace(300, 4.0), one.control()
    deployment = off.technique.rewrite(BASE, off.params)

    assert evaluate.run(deployment, requests, H100, small()) == evaluate.run(BASE, requests, H100, small())


def test_an_inline_encoder_saves_nothing_and_says_so() -> None:
    """Co-located with the language model there is no power of its own to save: exactly nothing changes, and a note says why."""
    deployment = EncoderSleep().rewrite(BASE, SLEEP)

    assert evaluate.run(deployment, quiet(20, 500.0), H100, small()) == evaluate.run(BASE, quiet(20, 500.0), H100, small())
    assert "no power of its own to save" in deployment.notes["encoder_sleep"]


def test_a_dedicated_encoder_by_hand() -> None:
    """Gaps of 1000 s: 162 s awake (8000 J / 49.3 W), 798 s asleep 49.3 W below idle, 40 s waking at 200 W; images wait for it."""
    pool = replace(BASE, replicas=1, encoder=replace(BASE.encoder, placement="pool", pool_size=1))
    awake, asleep = (
        evaluate.observe(evaluate.prepare(d, quiet(10, 1000.0), H100, SETTINGS.values), quiet(10, 1000.0), SETTINGS)
        for d in (pool, EncoderSleep().rewrite(pool, SLEEP))
    )
    gain_j = (960 - 8000 / SAVED_W) * SAVED_W - 40 * (200 - IDLE_W)

    saved_j = 10 * (awake.usage.total(Resource.ENERGY_J) - asleep.usage.total(Resource.ENERGY_J))
    waited_s = (asleep.result.first_token_s - awake.result.first_token_s).mean()
    assert waited_s == pytest.approx(40, abs=0.1)
    # the run ends 40 s later, and every accelerator idles through them
    later_j = 40 * (2 * (IDLE_W + SETTINGS.values.power.node_w))
    assert saved_j == pytest.approx(10 * gain_j - later_j, rel=0.05)


def test_the_break_even_and_the_energy_rest_on_one_figure() -> None:
    """In a gap of the timeout alone, sleeping all of it and waking spends what idling spends: on every platform, to 1e-9."""
    pool = replace(BASE, replicas=1, encoder=replace(BASE.encoder, placement="pool", pool_size=1))
    encoder = EncoderSleep().rewrite(pool, SLEEP).encoder
    power = SETTINGS.values.power

    for name in accelerator.platforms(ROOT):
        board = accelerator.load(ROOT, name)
        sleep_tradeoff = sleep.stakes(encoder, power, board)
        asleep_w, idle_w = power.idle_w(board, "no_process"), power.idle_w(board)
        assert asleep_w * sleep_tradeoff.timeout_s + sleep_tradeoff.wake_j == pytest.approx(
            idle_w * sleep_tradeoff.timeout_s, rel=1e-9
        )


def test_what_a_sleeping_pool_is_seen_to_do() -> None:
    """Ten images 1000 s apart: asleep most of the time, woken ten times, break-even at 162 s, in words."""
    pool = replace(BASE, replicas=1, encoder=replace(BASE.encoder, placement="pool", pool_size=1))
    requests = quiet(10, 1000.0)
    ready = evaluate.prepare(EncoderSleep().rewrite(pool, SLEEP), requests, H100, SETTINGS.values)

    said = evaluate.observe(ready, requests, SETTINGS).words()["encoder_sleep"]
    assert said.endswith("of the time and woke 10 times; asleep they save 49 W, which pays for waking after 162 s")


@pytest.mark.parametrize("draw", range(5))
@pytest.mark.parametrize("name", accelerator.platforms(ROOT))
def test_nothing_that_sleeps_or_idles_draws_more_than_what_works(name: str, draw: int) -> None:
    """Without a process < idle < least busy <= board on every platform, in every draw."""
    board = accelerator.load(ROOT, name)
    power = settings.load(ROOT, draw=draw, draws=5).values.power
    least_w = power.busy_w(Load(decode_attention=0.0, compute=0.0), board_w=board.board_w)

    assert 0 < power.idle_w(board, "no_process") < power.idle_w(board) < least_w <= board.board_w


def test_images_at_azure_s_rate_leave_nothing_to_sleep_in() -> None:
    """44 images a minute (Azure LMM 2024): no gap reaches the break-even of 162 s, so nothing is saved."""
    pool = replace(BASE, encoder=replace(BASE.encoder, placement="pool", pool_size=1))
    requests = replace(quiet(400, 60 / 44), arrival_s=np.cumsum(np.random.default_rng(1).exponential(60 / 44, 400)))
    was, now = (
        evaluate.observe(evaluate.prepare(d, requests, H100, SETTINGS.values), requests, SETTINGS).usage.total(Resource.ENERGY_J)
        for d in (pool, EncoderSleep().rewrite(pool, SLEEP))
    )

    assert now == pytest.approx(was, rel=1e-9)


def test_replicas_that_are_not_needed_are_given_back() -> None:
    """Two of three replicas are never needed by one request every 30 s: after 300 s they are gone, and their time with them."""
    three, requests = replace(BASE, replicas=3), quiet(100, 30.0)
    run = evaluate.observe(
        evaluate.prepare(ReplicaSleep().rewrite(three, DEMAND), requests, H100, SETTINGS.values), requests, SETTINGS
    )
    span_s = run.result.span_s

    assert run.result.cold_starts == 0
    assert run.result.asleep_s == pytest.approx(2 * (span_s - 300))
    storage_s = sum(r.amount for r in run.usage if r.resource is Resource.TIME_S and r.component == "storage")
    assert 100 * (run.usage.total(Resource.TIME_S) - storage_s) == pytest.approx(span_s + 600, rel=1e-9)


def test_packing_is_the_router_s_and_never_credited_to_sleep() -> None:
    """Two replicas at 2 requests/s, endless timeout: nobody sleeps, so nothing is saved, to the last bit; words say so.

    What packing saves is between two bases: fewer steps than behind the least loaded router, less energy, the same time.
    """
    requests = fake_trace(400, 2.0)
    endless = ReplicaSleep().rewrite(BASE, DEMAND.model_copy(update={"timeout_s": 1e9}))
    spread, was, now = (
        evaluate.observe(evaluate.prepare(d, requests, H100, SETTINGS.values), requests, SETTINGS)
        for d in (replace(BASE, router="least_loaded"), BASE, endless)
    )

    assert now.words()["replica_sleep"] == "replicas slept 0.0% of the time and started cold 0 times"
    assert [r.amount for r in now.usage] == [r.amount for r in was.usage if r.amount is not None]
    assert was.result.steps < 0.9 * spread.result.steps
    assert was.usage.total(Resource.ENERGY_J) < 0.98 * spread.usage.total(Resource.ENERGY_J)
    assert was.usage.total(Resource.TIME_S) == pytest.approx(spread.usage.total(Resource.TIME_S), rel=0.01)


def test_a_router_that_spreads_leaves_nobody_to_sleep() -> None:
    """Behind any other router sleep is refused, and the reason names the remedy."""
    for router in ("least_loaded", "round_robin"):
        with pytest.raises(OutOfValidityError, match=f"behind the router '{router}' .* needs router: packed"):
            ReplicaSleep().rewrite(replace(BASE, router=router), DEMAND)


def test_a_context_kept_never_sleeps() -> None:
    """Giving back the weights saves 0 W (H100: 123.0 W with and without), so that it never sleeps, and words say so."""
    pool = replace(BASE, replicas=1, encoder=replace(BASE.encoder, placement="pool", pool_size=1))
    kept = EncoderSleep().rewrite(pool, SLEEP.model_copy(update={"context": "kept"}))

    assert kept.encoder.sleep_policy == "always_on"
    assert "sleep saves 0 W" in kept.notes["encoder_sleep"]


def test_the_idle_share_of_a_quiet_replica() -> None:
    """At 0.2 requests/s one replica of the 8B model is idle about 69 % of the time (an earlier trial, answers of 247)."""
    random = np.random.default_rng(5)
    mix = replace(
        fake_trace(2000, 0.2, 5), output_tokens=np.maximum(random.lognormal(np.log(180), 0.8, 2000), 1).astype(np.int64)
    )
    run = evaluate.observe(evaluate.prepare(replace(BASE, replicas=1), mix, H100, SETTINGS.values), mix, SETTINGS)

    assert run.result.idle_s / run.result.span_s == pytest.approx(0.69, abs=0.05)


def test_what_the_file_says() -> None:
    """Both techniques of the fleet are on; wake-ups at an assumed power make both assumed; draws differ in ranges only."""
    first, second = ([t for t in chosen(ROOT, IDLE, draw=n, draws=5) if t.on_fleet] for n in (0, 1))

    assert [t.name for t in first] == ["encoder_sleep", "replica_sleep"]
    assert {t.evidence for t in first} == {Evidence.ASSUMED}
    assert first[0].params.policy == second[0].params.policy
    assert first[0].params.reload_s != second[0].params.reload_s


def test_at_capacity_nothing_is_given_back() -> None:
    """Poisson arrivals at the largest rate leave no gap of 300 s: nobody sleeps."""
    requests = fake_trace(300, 4.0)
    ready = evaluate.prepare(ReplicaSleep().rewrite(BASE, DEMAND), requests, H100, small().values)

    assert evaluate.at_capacity(ready, small()).result.asleep_s == 0
    assert OperatingPoint.AT_CAPACITY in evaluate.run(BASE, requests, H100, small())
