"""Storage on the bench: by hand, what a price includes is paid once, tiers, pools and packages reach the accounts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from deltastack.errors import OutOfValidityError
from deltastack.fleet import evaluate
from deltastack.fleet.accounting import component_usage
from deltastack.fleet.deployment import Autoscaling, Encoder, KvTier, Packaging, Placement
from deltastack.fleet.effects import sleep
from deltastack.model import Component, OperatingPoint, Resource
from tests.fakes import fake_result, fake_trace
from tests.layers.stand import H100, SERVED, SETTINGS

if TYPE_CHECKING:
    from deltastack.fleet.deployment import Deployment
    from deltastack.model import Usage

TRACE = fake_trace(400, 3.0)
HELD = KvTier(medium="host", hit_rate=0.0, read_bytes_per_s=50e9, mean_reuse_interval_s=2.0)
"""What fills host memory, so that a pool has something to share."""
VALUES = SETTINGS.values


def observed(deployment: Deployment) -> evaluate.Run:
    """One run at the trace's own arrivals."""
    return evaluate.observe(evaluate.prepare(deployment, TRACE, H100, VALUES), TRACE, SETTINGS)


def amount(usage: Usage, component: Component, resource: Resource) -> float:
    """One reading."""
    return next(r.amount or 0.0 for r in usage if (r.component, r.resource) == (component, resource))


BASE = observed(SERVED)


def test_the_price_of_accelerators_is_paid_once() -> None:
    """Storage taken out of the price and charged apart adds up: dollars = accelerator price x accelerator seconds in all.

    Only the loading of weights (0.02 ‰ here) waits on top of the replicas' time.
    """
    span_s = BASE.result.span_s * SERVED.replicas
    loading_s = amount(BASE.usage, Component.STORAGE, Resource.TIME_S) * 400
    rate = VALUES.prices.accelerator_usd_per_s

    assert BASE.usage.total(Resource.COST_USD) == pytest.approx(rate * span_s / 400, rel=1e-4)
    assert 0 < loading_s < 1e-3 * span_s


def test_two_accelerators_a_replica_cost_twice_their_price() -> None:
    """Tensor parallelism: the second accelerator brings the host memory and the drive that its price includes, paid once."""
    one = fake_result(span_s=100.0, idle_s=100.0)
    wide = replace(BASE.account, deployment=replace(SERVED, replicas=1, tensor_parallel=2), result=one)
    usage = component_usage.usage(wide, 1)

    assert usage.total(Resource.COST_USD) == pytest.approx(200 * VALUES.prices.accelerator_usd_per_s, rel=1e-4)
    assert amount(usage, Component.STORAGE, Resource.MEMORY_BYTE_S) == pytest.approx(200 * 256e9)


def test_what_is_given_back_takes_its_node_with_it() -> None:
    """Two replicas for 100 s, one of them gone for 60 s: 140 accelerator-seconds are paid, host memory and drives included."""
    gone = replace(SERVED, autoscaling=Autoscaling(policy="demand", released=True, timeout_s=1.0))
    ran = fake_result(span_s=100.0, idle_s=200.0, asleep_s=60.0)
    usage = component_usage.usage(replace(BASE.account, deployment=gone, result=ran), 1)

    assert usage.total(Resource.COST_USD) == pytest.approx(140 * VALUES.prices.accelerator_usd_per_s, rel=1e-4)
    assert amount(usage, Component.STORAGE, Resource.MEMORY_BYTE_S) == pytest.approx(140 * 256e9)


def test_a_cold_start_loads_its_weights() -> None:
    """Three cold starts read three times the weights, an encoder torn down and woken twice its own; a kept one reads none."""
    tables, ran = BASE.account.tables, fake_result(span_s=100.0, idle_s=200.0, cold_starts=3)
    scaled = replace(SERVED, autoscaling=Autoscaling(policy="demand"))
    pool = replace(SERVED, encoder=Encoder(placement="pool", pool_size=1, sleep_policy="timeout", reloads=True))
    woken = replace(BASE.account, pool=sleep.Pool(0.0, 0.0, 100.0, 2, np.zeros(1)), result=replace(ran, cold_starts=0))
    read = {
        name: amount(component_usage.usage(account, 1), Component.STORAGE, Resource.IO_BYTE)
        for name, account in {
            "never": replace(BASE.account, deployment=scaled, result=replace(ran, cold_starts=0)),
            "cold": replace(BASE.account, deployment=scaled, result=ran),
            "torn": replace(woken, deployment=pool),
            "kept": replace(woken, deployment=replace(pool, encoder=replace(pool.encoder, reloads=False))),
        }.items()
    }
    amplified = 17_537_249_280 / 17_534_247_392

    assert read["cold"] - read["never"] == pytest.approx(3 * amplified * (tables.weight_bytes + tables.encoder_weight_bytes))
    assert read["torn"] - read["kept"] == pytest.approx(2 * amplified * tables.encoder_weight_bytes)


def test_loading_by_hand() -> None:
    """Two replicas load 17.5 GB once a day at 12 GB/s and copy nearly all of it at 10 GB/s: 3.2 s x 2 x span / day."""
    times = BASE.result.span_s / 86400 * 2
    files = (BASE.account.tables.weight_bytes + BASE.account.tables.encoder_weight_bytes) / 17_534_247_392

    assert amount(BASE.usage, Component.STORAGE, Resource.TIME_S) * 400 == pytest.approx(
        (17_537_249_280 / 12e9 + 17_355_839_552 / 10e9) * files * times
    )
    assert amount(BASE.usage, Component.STORAGE, Resource.IO_BYTE) * 400 == pytest.approx(17_537_249_280 * files * times)


def test_drives_and_host_memory_by_hand() -> None:
    """256 GB of host memory and 3.84 TB with 7 % spare a replica, over the span, at their prices."""
    expected = 256e9 * VALUES.prices.host_memory_usd_per_byte_s + 3.84e12 * 1.07 * VALUES.prices.drive_usd_per_byte_s
    found = amount(BASE.usage, Component.STORAGE, Resource.COST_USD)
    waited = amount(BASE.usage, Component.STORAGE, Resource.TIME_S) * VALUES.prices.accelerator_usd_per_s

    assert found == pytest.approx(expected * BASE.result.span_s * 2 / 400 + waited, rel=1e-3)


def test_a_tier_on_flash_wears_it_out() -> None:
    """What is written is amplified, moves as bytes, and is paid by the cycle: 190 dollars a TB over 5,000 cycles."""
    kept = KvTier(medium="flash", hit_rate=0.5, covered_fraction=0.5, read_bytes_per_s=12e9, write_share=0.3)
    run = observed(replace(SERVED, kv_tier=kept))
    tier = run.account.tier

    assert tier is not None
    programmed = tier.written_bytes.sum() * SERVED.storage.write_amplification
    moved = amount(run.usage, Component.STORAGE, Resource.IO_BYTE) - amount(BASE.usage, Component.STORAGE, Resource.IO_BYTE)
    assert moved * 400 == pytest.approx(programmed + tier.restored_bytes.sum(), rel=1e-3)
    wear = programmed * VALUES.prices.drive_usd_per_byte_s * VALUES.prices.drive_life_s / VALUES.prices.flash_cycles
    without = replace(run.account, tier=None)
    spared = evaluate.component_usage.usage(without, 400)
    assert run.usage.total(Resource.COST_USD) - spared.total(Resource.COST_USD) == pytest.approx(wear / 400)  # type: ignore[operator]


def test_a_tier_in_host_memory_moves_no_byte_of_storage() -> None:
    """By hand: io_byte is the load of the weights alone, to the last bit, however much is copied between memories."""
    kept = KvTier(medium="host", hit_rate=0.5, covered_fraction=0.5, read_bytes_per_s=50e9, write_share=0.5)
    run = observed(replace(SERVED, kv_tier=kept))
    loaded = amount(BASE.usage, Component.STORAGE, Resource.IO_BYTE) * run.result.span_s / BASE.result.span_s

    assert run.account.tier is not None
    assert run.account.tier.restored_bytes.sum() > 1e9
    assert amount(run.usage, Component.STORAGE, Resource.IO_BYTE) == pytest.approx(loaded, rel=1e-12)


def test_a_tier_saves_computing() -> None:
    """Half of the prompts restored for half of their tokens: less prefill, so less accelerator time in attention and FFN."""
    kept = KvTier(medium="host", hit_rate=0.5, covered_fraction=0.5, read_bytes_per_s=50e9)
    run = observed(replace(SERVED, kv_tier=kept))

    assert run.result.prefill_tokens < 0.8 * BASE.result.prefill_tokens
    assert "the tier 100% more" in run.words()["kv_tier"]
    assert BASE.words() == {}
    for component in (Component.ATTENTION, Component.FFN):
        assert amount(run.usage, component, Resource.TIME_S) < amount(BASE.usage, component, Resource.TIME_S)


def test_a_pool_changes_money_and_host_memory_only() -> None:
    """The accounts follow the observed pool; time, energy and bytes stay as they are."""
    memory = replace(SERVED.memory, pooled_share=0.25, pool_hosts=8, pool_overhead_share=0.1, pool_bytes_per_s=55e9)
    spread = replace(SERVED, router="least_loaded", kv_tier=HELD)
    run, apart = observed(replace(spread, memory=memory)), observed(spread)
    pool = run.account.memory_pool

    assert pool is not None
    assert pool.saving > 0
    assert f"correlation of {pool.correlation:.2f}" in run.words()["memory_pool"]
    host = amount(apart.usage, Component.STORAGE, Resource.MEMORY_BYTE_S)
    assert amount(run.usage, Component.STORAGE, Resource.MEMORY_BYTE_S) == pytest.approx(host * pool.memory_factor)
    saved = apart.usage.total(Resource.COST_USD) - run.usage.total(Resource.COST_USD)  # type: ignore[operator]
    assert saved == pytest.approx(host * VALUES.prices.host_memory_usd_per_byte_s * (1 - pool.cost_factor))
    for resource in (Resource.TIME_S, Resource.ENERGY_J, Resource.IO_BYTE):
        assert run.usage.total(resource) == pytest.approx(apart.usage.total(resource), rel=1e-12)


def test_at_capacity_a_pool_is_that_of_the_trace() -> None:
    """Poisson replicas would look independent: host memory at capacity shrinks by the factor seen at the trace's arrivals."""
    memory = replace(SERVED.memory, pooled_share=0.25, pool_hosts=8, pool_bytes_per_s=55e9)
    tiered = replace(SERVED, router="least_loaded", kv_tier=HELD)
    base, pooled = (evaluate.run(d, TRACE, H100, SETTINGS) for d in (tiered, replace(tiered, memory=memory)))
    factors = [
        amount(pooled[b], Component.STORAGE, Resource.MEMORY_BYTE_S) / amount(base[b], Component.STORAGE, Resource.MEMORY_BYTE_S)
        for b in (OperatingPoint.AT_TRACE, OperatingPoint.AT_CAPACITY)
    ]

    assert factors[0] == pytest.approx(factors[1])
    assert factors[0] < 1


def test_a_package_changes_energy_and_price() -> None:
    """250 dollars less to make are 250 over the life less to pay, whatever the price is; cheaper bits save where bytes move."""
    package = Packaging(maker_usd=-250.0, dram_j_per_bit=3.9e-12, dram_energy_factor=0.75)
    run = observed(replace(SERVED, packaging=package))
    paid = [amount(r.usage, Component.FFN, Resource.COST_USD) for r in (run, BASE)]

    assert paid[1] - paid[0] == pytest.approx(
        250 / VALUES.prices.accelerator_life_s * amount(BASE.usage, Component.FFN, Resource.TIME_S)
    )
    moved = evaluate.component_usage.packaging.dram_bytes(BASE.result, BASE.account.tables, SERVED)
    for component, moved_bytes in moved.items():
        saved = amount(BASE.usage, component, Resource.ENERGY_J) - amount(run.usage, component, Resource.ENERGY_J)
        assert saved * 400 == pytest.approx(8 * moved_bytes * 3.9e-12 * 0.25)


def test_placed_layers_reach_the_simulator() -> None:
    """Four dies without micro-batches take four times as long for the same step: each step's feed-forward at least doubles."""
    run = observed(replace(SERVED, placement=Placement(dies=4, micro_batches=1, link_bytes_per_s=1e12)))

    assert run.result.ffn_s / run.result.steps > 2 * BASE.result.ffn_s / BASE.result.steps


def test_live_keys_on_a_slow_pool_are_refused() -> None:
    """The spill guard speaks before anything is simulated."""
    memory = replace(SERVED.memory, live_share=0.1, pool_bytes_per_s=55e9)

    with pytest.raises(OutOfValidityError, match="may spill"):
        evaluate.prepare(replace(SERVED, memory=memory), TRACE, H100, VALUES)
