"""What a run is charged: by hand, and that nothing is lost on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from deltastack import params
from deltastack.errors import ParamsError
from deltastack.fleet import accelerator, memory, settings
from deltastack.fleet.accounting import component_usage, power_states
from deltastack.fleet.accounting.run_account import Account
from deltastack.fleet.deployment import Autoscaling, Storage
from deltastack.fleet.effects import sleep
from deltastack.fleet.power import PowerModel
from deltastack.fleet.simulator import Config, simulate
from deltastack.model import Component, Evidence, Resource, Usage
from tests.fakes import fake_result, fake_tables, fake_trace

ROOT = Path(__file__).parents[3]
H100 = accelerator.load(ROOT, "h100_sxm")
SETTINGS = settings.load(ROOT)
VALUES = SETTINGS.values
BASE = replace(VALUES.deployment.deployment(), replicas=1, storage=Storage())
TABLES = fake_tables()
IDLE_W, ENDED_W = VALUES.power.idle_w(H100), VALUES.power.idle_w(H100, "no_process")
DRIVES = VALUES.prices.flash_bytes_in_price * VALUES.prices.drive_usd_per_byte_s
"""Of an accelerator's price: the base here has no drive, so its part stays out."""
INSIDE = memory.residents(TABLES, H100, BASE, VALUES.memory)


def account(**given: object) -> Account:
    """An account of the base deployment, of a run in which nothing happened but for what is given."""
    plain = {
        "deployment": BASE,
        "platform": H100,
        "tables": TABLES,
        "residents": INSIDE,
        "result": fake_result(),
        "pool": None,
        "settings": SETTINGS,
    }
    return Account(**(plain | given))


def amount(usage: Usage, component: Component, resource: Resource) -> float:
    """One amount of a usage."""
    return next(r.amount for r in usage if (r.component, r.resource) == (component, resource))


def test_by_hand() -> None:
    """100 s of one idle accelerator, two requests: 50 s, and 50 (idle + node) J each; money adds up to the price."""
    usage = component_usage.usage(account(result=fake_result(span_s=100.0, idle_s=100.0)), 2)

    assert amount(usage, Component.IDLE, Resource.TIME_S) == 50
    assert usage.total(Resource.ENERGY_J) == pytest.approx(50 * (IDLE_W + VALUES.power.node_w))
    assert usage.total(Resource.COST_USD) == pytest.approx(50 * (VALUES.prices.accelerator_usd_per_s - DRIVES))
    assert usage.total(Resource.MEMORY_BYTE_S) == pytest.approx(50 * (H100.memory_bytes + 256e9))
    grams = VALUES.carbon.embodied_g_per_accelerator / VALUES.carbon.lifetime_s
    joules = 50 * (IDLE_W + VALUES.power.node_w)
    assert usage.total(Resource.CARBON_G) == pytest.approx(joules * VALUES.carbon.pue * VALUES.carbon.grid_g_per_j + 50 * grams)


def test_a_tensor_parallel_replica_is_charged_for_all_its_accelerators() -> None:
    """Two accelerators that are busy for the same second are two accelerator-seconds."""
    usage = component_usage.usage(
        account(deployment=replace(BASE, tensor_parallel=2), result=fake_result(span_s=1.0, ffn_s=1.0)), 1
    )

    assert amount(usage, Component.FFN, Resource.TIME_S) == 2


def test_keys_in_use_are_attention_s_and_the_rest_is_idle() -> None:
    """Of the room for keys and values what is resident counts under attention; provisioned memory stays the same."""
    empty, half = (
        component_usage.usage(account(result=fake_result(span_s=10.0, idle_s=10.0, kv_token_s=t)), 1) for t in (0.0, 1000.0)
    )
    moved = 1000 * TABLES.kv_bytes_per_token

    assert amount(half, Component.ATTENTION, Resource.MEMORY_BYTE_S) == pytest.approx(
        amount(empty, Component.ATTENTION, Resource.MEMORY_BYTE_S) + moved
    )
    assert half.total(Resource.MEMORY_BYTE_S) == pytest.approx(empty.total(Resource.MEMORY_BYTE_S), rel=1e-12)


def test_waking_takes_time_and_its_own_energy() -> None:
    """An encoder awake for 10 s, asleep for 50 s without a process, woken once in 40 s at 200 W: each part at its own."""
    encoder = replace(
        BASE.encoder,
        placement="pool",
        pool_size=1,
        sleep_policy="timeout",
        wake_s=40.0,
        wake_share=2 / 7,
        sleep_state="no_process",
    )
    pool = sleep.Pool(0.0, 10.0, 50.0, 1, np.zeros(1))
    run = account(deployment=replace(BASE, encoder=encoder), pool=pool, result=fake_result(span_s=100.0, idle_s=100.0))
    node_w = VALUES.power.node_w
    usage = component_usage.usage(run, 1)

    assert usage.total(Resource.TIME_S) == pytest.approx(200)
    assert usage.total(Resource.ENERGY_J) == pytest.approx(110 * IDLE_W + 50 * ENDED_W + 8000 + 200 * node_w)


def test_replicas_asleep_by_hand() -> None:
    """100 s of one replica: 20 idle, 50 asleep without a process, 30 waking at 200 W; what was given back draws nothing."""
    ran = fake_result(span_s=100.0, idle_s=100.0, asleep_s=50.0, waking_s=30.0)
    ours = Autoscaling(policy="demand", timeout_s=1.0, cold_start_s=30.0, cold_start_share=2 / 7)
    kept, gone = (
        component_usage.usage(account(deployment=replace(BASE, autoscaling=s), result=ran), 1)
        for s in (ours, replace(ours, released=True))
    )
    node_w = VALUES.power.node_w

    assert kept.total(Resource.ENERGY_J) == pytest.approx(20 * IDLE_W + 50 * ENDED_W + 30 * 200 + 100 * node_w)
    assert gone.total(Resource.ENERGY_J) == pytest.approx(20 * IDLE_W + 30 * 200 + 50 * node_w)


def test_an_l4_idles_at_a_share_of_its_own_board() -> None:
    """18 % of 72 W is 12.96 W, far below its least busy draw; carried over from other boards, it is assumed."""
    l4 = accelerator.load(ROOT, "l4")
    usage = component_usage.usage(account(platform=l4, result=fake_result(span_s=100.0, idle_s=100.0)), 1)

    assert usage.total(Resource.ENERGY_J) == pytest.approx(100 * (0.18 * 72 + VALUES.power.node_w))
    assert usage.evidence(Resource.ENERGY_J) is Evidence.ASSUMED
    assert usage.evidence(Resource.TIME_S) is Evidence.SIMULATED


def test_money_is_missing_where_nobody_wrote_down_the_price() -> None:
    """An H100's price says nothing of an L4's: every amount of money is null with the remedy, and all else is there."""
    usage = component_usage.usage(
        account(platform=accelerator.load(ROOT, "l4"), result=fake_result(span_s=100.0, idle_s=100.0)), 1
    )
    money = [r for r in usage if r.resource is Resource.COST_USD]

    assert {(r.amount, r.reason) for r in money} == {
        (
            None,
            "no price of l4: prices in params/fleet.yaml are of h100_sxm; put its own there, and its name into prices.platform",
        )
    }
    assert usage.total(Resource.CARBON_G) is not None
    assert usage.evidence(Resource.CARBON_G) is Evidence.ASSUMED


def test_idle_power_by_state_as_measured() -> None:
    """One H100, 2026-11-26: 72.7 W without a process, 121.6 to 123.6 W with a context, whatever lies in its memory."""
    assert abs(ENDED_W - 72.7) < 0.1
    assert 121.6 <= IDLE_W <= 123.6
    with pytest.raises(ParamsError, match="no state 'off' of an idle accelerator; there are: context, no_process"):
        VALUES.power.idle_w(H100, "off")


def test_weights_given_back_save_no_watt() -> None:
    """100 s of an encoder that sleeps with its context kept draw what 100 idle seconds draw, to the last bit: 0 W saved."""
    asleep, awake = (
        account(
            deployment=replace(BASE, encoder=replace(BASE.encoder, placement="pool", pool_size=1, sleep_policy="timeout")),
            pool=sleep.Pool(0.0, idle_s, 100.0 - idle_s, 0, np.zeros(1)),
            result=fake_result(span_s=100.0, idle_s=100.0),
        )
        for idle_s in (0.0, 100.0)
    )

    assert asleep.sleep_tradeoff == (0.0, 0.0)
    assert component_usage.usage(asleep, 1).total(Resource.ENERGY_J) == component_usage.usage(awake, 1).total(Resource.ENERGY_J)


def test_idling_never_costs_more_than_working() -> None:
    """An idle share above the least busy one is refused where the parameters are read, on every board."""
    for name in ("idle", "idle_elsewhere"):
        shares = {name: {"no_process_share": 0.2, "context_share": 0.5}}
        with pytest.raises(ParamsError, match=rf"{name}: no_process_share \+ context_share = 0\.7 lies above busy_base 0\.597"):
            params.parse(VALUES.power.model_dump() | shares, PowerModel, "power")


@hypothesis_settings(deadline=None, max_examples=25)
@given(st.integers(1, 3), st.integers(0, 2), st.sampled_from([0.3, 3.0, 30.0]), st.integers(0, 99))
def test_nothing_is_lost(replicas: int, encoders: int, rate: float, seed: int) -> None:
    """Accelerator time is all the time of all accelerators, to 1e-9; energy is power x time; nothing is negative."""
    requests = fake_trace(60, rate, seed)
    config = Config(replicas=replicas, kv_capacity_tokens=400_000, encoder_pool=encoders, host_step_s=1e-3)
    result = simulate(TABLES, requests, config)
    pool = sleep.Pool(result.encoder_s, result.encoder_idle_s, 0.0, 0, np.zeros(0)) if encoders else None
    encoder = replace(BASE.encoder, placement="pool" if encoders else "inline", pool_size=encoders)
    run = account(deployment=replace(BASE, replicas=replicas, encoder=encoder), result=result, pool=pool)
    usage = component_usage.usage(run, 60)

    assert 60 * usage.total(Resource.TIME_S) == pytest.approx((replicas + encoders) * result.span_s, rel=1e-9)
    power = sum((line.accelerator_w + VALUES.power.node_w) * line.time_s for line in power_states.lines(run))
    assert 60 * usage.total(Resource.ENERGY_J) == pytest.approx(power, rel=1e-9)
    assert 60 * usage.total(Resource.MEMORY_BYTE_S) == pytest.approx(
        ((replicas + encoders) * (H100.memory_bytes + 256e9)) * result.span_s, rel=1e-9
    )
    assert all(r.amount >= 0 for r in usage)


def test_evidence_is_the_weakest_behind_an_amount() -> None:
    """Time is simulated; energy rests on a published idle power; host memory's price is assumed."""
    usage = component_usage.usage(account(result=fake_result(span_s=1.0, idle_s=1.0)), 1)

    assert usage.evidence(Resource.TIME_S) is Evidence.SIMULATED
    assert usage.evidence(Resource.ENERGY_J) is Evidence.PUBLISHED
    assert usage.evidence(Resource.COST_USD) is Evidence.ASSUMED
