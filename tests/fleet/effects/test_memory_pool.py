"""The pool: by hand, correlation one, the spill guard, limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from deltastack.errors import OutOfValidityError
from deltastack.fleet import accelerator
from deltastack.fleet.deployment import Deployment, KvTier, Memory
from deltastack.fleet.effects import memory_pool
from deltastack.fleet.effects.kv_tier import Tier
from tests.fakes import fake_result

if TYPE_CHECKING:
    from numpy.typing import NDArray

H100 = accelerator.load(Path(__file__).parents[3], "h100_sxm")
POOL = Memory(host_bytes_per_replica=256e9, pooled_share=0.25, pool_hosts=16, pool_overhead_share=0.1, pool_bytes_per_s=55e9)


def memory_pool_tier(written_bytes: NDArray[np.float64]) -> Tier:
    """A tier that wrote so many bytes for each request and restored nothing."""
    none = np.zeros(written_bytes.size, np.int64)
    return Tier(none, none, np.zeros(none.size), written_bytes, np.zeros(none.size), 1.0, 0.0, 1.0, 0.0)


def deployment(memory: Memory) -> Deployment:
    """Something that serves, with a pool."""
    return Deployment(model="fake/8b", platform="h100_sxm", memory=memory)


def test_by_hand() -> None:
    """Two replicas that need 10 in turn and else 2: 40 % of the pooled quarter is saved; overhead 10 % of it is paid."""
    demand = np.array([[10.0, 2.0] * 50, [2.0, 10.0] * 50])
    found = memory_pool.observe(demand, deployment(POOL))

    assert found is not None
    assert found.saving == pytest.approx(0.4)
    assert found.correlation == pytest.approx(-1.0)
    assert found.memory_factor == pytest.approx(1 - 0.25 * 0.4)
    assert found.cost_factor == pytest.approx(1 - 0.25 * 0.4 + 0.25 * 0.1)
    assert "40.0%" in found.words()
    assert "-1.00" in found.words()


def test_at_correlation_one_the_pool_is_a_loss() -> None:
    """Demand that rises and falls together saves exactly 0, and the switches are paid all the same: cost factor above 1."""
    one = np.random.default_rng(0).lognormal(size=300)
    found = memory_pool.observe(np.vstack([one] * 4), deployment(POOL))

    assert found is not None
    assert found.saving == pytest.approx(0.0, abs=1e-12)
    assert found.memory_factor == pytest.approx(1.0, abs=1e-12)
    assert found.cost_factor == pytest.approx(1.025)


def test_more_replicas_than_a_pool_takes_share_several() -> None:
    """Four replicas in pools of two: (1, 2) take turns and save 40 %, (3, 4) peak together and save nothing: 20 % in all."""
    a, b = [10.0, 2.0] * 50, [2.0, 10.0] * 50
    found = memory_pool.observe(np.array([a, b, a, a]), deployment(replace(POOL, pool_hosts=2)))

    assert found is not None
    assert found.saving == pytest.approx(0.2)


def test_without_a_pool_nothing_is_observed() -> None:
    """A pooled share of 0 is the deployment as it was (negative control)."""
    assert memory_pool.observe(np.ones((2, 9)), deployment(replace(POOL, pooled_share=0.0))) is None


def test_the_spill_guard() -> None:
    """55 GB/s beside 3.35 TB/s carries 1.6 % of live KV: 1 % wins 1 % of room, 5 % is refused, at any generation up to 6."""
    assert memory_pool.room(100.0, deployment(replace(POOL, live_share=0.01)), H100) == pytest.approx(100 / 0.99)
    assert memory_pool.room(100.0, deployment(POOL), H100) == 100.0
    for bandwidth in (55e9, 110e9):
        with pytest.raises(OutOfValidityError, match="slows every step"):
            memory_pool.room(100.0, deployment(replace(POOL, live_share=0.05, pool_bytes_per_s=bandwidth)), H100)


def test_one_replica_has_nobody_to_share_with() -> None:
    """A replica alone saves exactly 0 and pays its switch: cost factor 1 + a quarter of 10 %."""
    found = memory_pool.observe(np.random.default_rng(1).lognormal(size=(1, 90)), deployment(POOL))

    assert found is not None
    assert (found.saving, found.memory_factor) == (0.0, 1.0)
    assert found.cost_factor == pytest.approx(1.025)


def test_a_replica_that_sleeps_leaves_no_correlation() -> None:
    """One demand that varies beside one of 0: nothing is shared, so nothing saved, and no correlation is claimed."""
    demand = np.vstack([np.random.default_rng(2).lognormal(size=90), np.zeros(90)])
    found = memory_pool.observe(demand, deployment(POOL))

    assert found is not None
    assert found.saving == pytest.approx(0.0, abs=1e-12)
    assert found.correlation is None
    assert "of no two that vary" in found.words()


def test_pools_that_nobody_needs_do_not_count() -> None:
    """Pools of two, the second asleep: the saving is that of the first, 40 %."""
    demand = np.array([[10.0, 2.0] * 50, [2.0, 10.0] * 50, [0.0] * 100, [0.0] * 100])
    found = memory_pool.observe(demand, deployment(replace(POOL, pool_hosts=2)))

    assert found is not None
    assert found.saving == pytest.approx(0.4)


def test_demand_is_what_the_tier_holds_by_hand() -> None:
    """Two requests write 100 and 60 bytes on the first replica when they end at 10 and 50 s, one 40 on the second at 20 s.

    With reuse after 10 s the window is 23.03 s: at 30 s the first holds 100, at 40 s nothing, at 60 s 60; 70 bytes is its size.
    """
    kept = KvTier(medium="host", capacity_bytes=70.0, mean_reuse_interval_s=10.0)
    served = replace(deployment(POOL), replicas=2, kv_tier=kept)
    ran = replace(
        fake_result(span_s=288.0), replica=np.array([0, 1, 0]), finish_s=np.array([10.0, 20.0, 50.0]), first_token_s=np.zeros(3)
    )
    tier = memory_pool_tier(np.array([100.0, 40.0, 60.0]))
    held = memory_pool.demand(tier, ran, served)
    endless = memory_pool.demand(tier, ran, replace(served, kv_tier=replace(kept, mean_reuse_interval_s=0.0, capacity_bytes=0.0)))

    assert held[0, [8, 9, 29, 39, 59]] == pytest.approx([0, 70, 70, 0, 60])
    assert held[1, [18, 19, 42, 43]] == pytest.approx([0, 40, 40, 0])
    assert endless[:, -1] == pytest.approx([160, 40])


@pytest.mark.parametrize("kept", [KvTier(), KvTier(medium="flash", read_bytes_per_s=1e9)])
def test_without_a_tier_in_host_memory_a_pool_has_nothing_to_share(kept: KvTier) -> None:
    """Accelerator memory in use is no demand on host memory: the saving is exactly 0, the switches are paid, and words say so."""
    served = replace(deployment(POOL), replicas=2, kv_tier=kept)
    tier = memory_pool_tier(np.array([5.0])) if kept.medium == "flash" else None
    ran = replace(fake_result(span_s=288.0, kv_token_s=1e6), replica=np.array([0]), finish_s=np.array([1.0]))
    found = memory_pool.observe(memory_pool.demand(tier, ran, served), served)

    assert found is not None
    assert (found.saving, found.memory_factor, found.cost_factor) == (0.0, 1.0, 1.025)
    assert found.words().startswith("nothing fills host memory here")
