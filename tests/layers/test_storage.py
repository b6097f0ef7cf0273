"""Layer storage: what each technique rewrites, its control through the bench, what it is held against, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from deltastack.errors import OutOfValidityError
from deltastack.fleet import evaluate
from deltastack.fleet.deployment import Memory, Storage
from deltastack.fleet.effects import flash
from deltastack.layers import techniques
from deltastack.model import Component, OperatingPoint, Resource
from tests.layers.stand import ROOT, SERVED, Stand, saved

STAND = Stand("storage", requests=1500)
LAYER, BASE, used, technique = STAND.layer, STAND.base, STAND.used, STAND.technique


def test_the_file_meets_the_layer() -> None:
    """params/layers/storage.yaml has every technique; on are what the paper names and what engines do today."""
    found = techniques.chosen(ROOT, LAYER)

    assert [c.name for c in found if c.on] == ["zns", "block_alignment", "memory_pool", "kv_tier"]
    assert all(len(techniques.apply_techniques(SERVED, [c]).notes[c.name]) > 20 for c in found if c.name != "shared_weights")


@pytest.mark.parametrize("name", ["zns", "block_alignment", "memory_pool", "kv_tier"])
@pytest.mark.parametrize("draw", [0, 3])
def test_controls_change_nothing(name: str, draw: int) -> None:
    """Cleaning left, packed file, nothing pooled, hit ratio 0: |Δ| <= 1e-12 in every reading on both bases."""
    STAND.control_changes_nothing(name, draw)


def test_any_order_is_the_same_deployment() -> None:
    """All techniques in any order, for several draws."""
    for draw in range(3):
        every = techniques.chosen(ROOT, LAYER, draw=draw, draws=3)
        found = [replace(techniques.apply_techniques(SERVED, order), notes={}) for order in permutations(every)]

        assert all(one == found[0] for one in found)


def test_zones_change_no_request_while_only_weights_are_read() -> None:
    """ZNS "-40 % read latency" (source paper): weights are read only, so time, energy and bytes change by exactly 0."""
    found = used([technique("zns")])

    for operating_point in BASE:
        for resource in (Resource.TIME_S, Resource.ENERGY_J, Resource.IO_BYTE):
            assert found[operating_point].total(resource) == BASE[operating_point].total(resource)
        assert 0 < saved(BASE[operating_point], found[operating_point], Resource.COST_USD) < 1e-3


def test_zones_pay_beside_a_tier_on_flash() -> None:
    """With keys and values on the drive, zones program fewer bytes: I/O and money fall, and no request gets slower."""
    tier = technique("kv_tier", medium="flash")
    alone, both = used([tier])[OperatingPoint.AT_TRACE], used([tier, technique("zns")])[OperatingPoint.AT_TRACE]

    assert saved(alone, both, Resource.IO_BYTE) > 0.1
    assert saved(alone, both, Resource.COST_USD) > 0


def test_alignment_saves_the_copy_and_hardly_a_byte() -> None:
    """Measured on a safetensors file: no tensor aligned, whole-file amplification 1.0015, so I/O falls by less than 0.2 %.

    The copy out of bounce buffers is what a load loses: at 12 GB/s more than a third of it (measured: memcpy alone above 1 MiB).
    """
    found = used([technique("block_alignment")])[OperatingPoint.AT_TRACE]
    loads = [flash.loading(replace(SERVED.storage, aligned=a), SERVED.model).seconds for a in (False, True)]

    assert 0 < saved(BASE[OperatingPoint.AT_TRACE], found, Resource.IO_BYTE) < 2e-3
    assert 0.33 < 1 - loads[1] / loads[0] < 0.6
    assert saved(BASE[OperatingPoint.AT_TRACE], found, Resource.TIME_S) > 0


def test_a_pool_is_money_and_host_memory() -> None:
    """No component but storage changes, in no resource but memory and money; never a reading of accelerator memory."""
    found = used([technique("memory_pool")])[OperatingPoint.AT_TRACE]
    changed = {
        (was.component, was.resource)
        for was, now in zip(BASE[OperatingPoint.AT_TRACE], found, strict=True)
        if now.amount != pytest.approx(was.amount, rel=1e-12)
    }

    assert changed <= {(Component.STORAGE, Resource.MEMORY_BYTE_S), (Component.STORAGE, Resource.COST_USD)}
    assert (Component.STORAGE, Resource.COST_USD) in changed


def test_a_pool_against_pond() -> None:
    """Li et al., Pond, ASPLOS 2023: 7 % of DRAM cost at pools of 8 to 16 sockets.

    Sixteen replicas with independent lognormal demand (variation 0.5, 25 % poolable, no overhead) save 7 to 14 %.
    """
    demand = np.random.default_rng(3).lognormal(0, np.sqrt(np.log(1.25)), (16, 2000))
    memory = Memory(host_bytes_per_replica=256e9, pooled_share=0.25, pool_hosts=16)
    pool = evaluate.memory_pool.observe(demand, replace(SERVED, memory=memory))

    assert pool is not None
    assert 0.07 <= 1 - pool.cost_factor <= 0.14


def test_a_tier_saves_at_capacity_and_hardly_on_a_fixed_fleet() -> None:
    """On a fixed fleet accelerator time is what was rented; at capacity a restored prefix makes room for more requests."""
    found = used([technique("kv_tier")])

    assert abs(saved(BASE[OperatingPoint.AT_TRACE], found[OperatingPoint.AT_TRACE], Resource.TIME_S)) < 0.01
    assert saved(BASE[OperatingPoint.AT_CAPACITY], found[OperatingPoint.AT_CAPACITY], Resource.TIME_S) > 0.02
    assert saved(BASE[OperatingPoint.AT_TRACE], found[OperatingPoint.AT_TRACE], Resource.ENERGY_J) > 0


def test_the_tier_says_its_break_even() -> None:
    """The note has the break-even bandwidth of 1024 tokens, 9.5 GB/s here, and whether the medium is above it."""
    words = techniques.apply_techniques(SERVED, [technique("kv_tier")]).notes["kv_tier"]
    slow = techniques.apply_techniques(SERVED, [technique("kv_tier", host_bytes_per_s=5e9)]).notes["kv_tier"]

    assert "above 9.5 GB/s" in words
    assert "so it pays" in words
    assert "does not pay" in slow
    assert "roofline" in techniques.apply_techniques(replace(SERVED, platform="l4"), [technique("kv_tier")]).notes["kv_tier"]


def test_refusals() -> None:
    """No drive, no host memory, live keys beyond the spill threshold: the reason, and no deployment."""
    bare = replace(SERVED, storage=Storage(), memory=Memory())
    for name in ("zns", "block_alignment", "memory_pool", "kv_tier"):
        with pytest.raises(OutOfValidityError, match=r"0 in params/fleet.yaml"):
            techniques.apply_techniques(bare, [technique(name)])
    with pytest.raises(OutOfValidityError, match="may spill"):
        used([technique("memory_pool", live_share=0.05)])
