"""Bits of memory and between dies: by hand, the platform as sold, the share of link energy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deltastack.errors import OutOfValidityError
from deltastack.fleet.deployment import Deployment, Packaging, Schedule
from deltastack.fleet.effects import packaging
from deltastack.fleet.operators import load_tables
from deltastack.fleet.physics import links
from deltastack.fleet.simulator import Config, Result, simulate
from deltastack.model import Component
from tests.fakes import fake_trace

QWEN = load_tables("Qwen/Qwen3-VL-8B-Instruct", "h100_sxm", "bf16")


@pytest.fixture(scope="module")
def result() -> Result:
    """Three hundred requests on one replica."""
    return simulate(QWEN, fake_trace(300, 4.0), Config(kv_capacity_tokens=300_000))


def deployment(package: Packaging) -> Deployment:
    """Something that serves, in a package."""
    return Deployment(model=QWEN.model, platform="h100_sxm", packaging=package)


def test_step_bytes_by_hand() -> None:
    """36 layers of 3 x 4096 x 12,288 of FFN in bf16, a head of 151,936 x 4096; the embedding of the same size is not read.

    Apart, attention keeps the rest of its accelerator and feed-forward is read on half an accelerator a replica.
    """
    found = packaging.step_bytes(QWEN, deployment(Packaging()))
    ffn, head = 2 * 36 * 3 * 4096 * 12288, 2 * 151936 * 4096

    assert found[Component.FFN] == pytest.approx(ffn, rel=1e-3)
    assert found[Component.OTHER] == pytest.approx(head, rel=1e-3)
    assert sum(found.values()) == pytest.approx(QWEN.weight_bytes - head)

    apart = replace(QWEN, weight_bytes=QWEN.weight_bytes - found[Component.FFN])
    schedule = Schedule(kind="disaggregated", ffn_accelerators_per_replica=0.5)
    halved = packaging.step_bytes(apart, replace(deployment(Packaging()), schedule=schedule))
    assert halved[Component.FFN] == pytest.approx(ffn / 2, rel=1e-3)
    assert halved[Component.ATTENTION] == pytest.approx(found[Component.ATTENTION], rel=1e-3)


def test_by_hand(result: Result) -> None:
    """Stacked memory that spares 1 of 3.9 pJ/bit saves 8 x 1 pJ for every byte that moved, a quarter of all of its energy."""
    package = Packaging(dram_j_per_bit=3.9e-12, dram_energy_factor=1 - 1 / 3.9)
    found = packaging.energy_j(result, QWEN, deployment(package))
    moved = packaging.dram_bytes(result, QWEN, deployment(Packaging()))

    assert found == pytest.approx({c: -8e-12 * b for c, b in moved.items()})
    weights = result.steps * sum(packaging.step_bytes(QWEN, deployment(package)).values())
    tokens = result.decode_kv_token_steps + result.prefill_prefix_tokens + result.prefill_tokens + result.decode_sequence_steps
    assert sum(moved.values()) == pytest.approx(weights + tokens * 147456)


def test_crossing_dies_costs_energy(result: Result) -> None:
    """Three quarters of the bytes cross at 0.25 pJ/bit: a loss of 8 x 0.1875 pJ a byte, in every component."""
    found = packaging.energy_j(result, QWEN, deployment(Packaging(crossing_share=0.75, link_j_per_bit=0.25e-12)))

    assert found == pytest.approx(
        {c: 1.5e-12 * b for c, b in packaging.dram_bytes(result, QWEN, deployment(Packaging())).items()}
    )
    assert min(found.values()) > 0


def test_activations_between_layers_by_hand(result: Result) -> None:
    """35 boundaries of 4096 bf16 at 0.5 pJ/bit are 1.15 uJ a token, computed or decoded, booked under other."""
    found = packaging.energy_j(result, QWEN, deployment(Packaging(link_energy_j_per_token=35 * 4096 * 2 * 8 * 0.5e-12)))

    assert found[Component.OTHER] == pytest.approx(1.14688e-6 * (result.prefill_tokens + result.decode_sequence_steps))
    assert found[Component.FFN] == found[Component.ATTENTION] == 0.0


@pytest.mark.parametrize(("batch", "link_j_per_bit", "share"), [(1, 0.05e-12, 2.3e-7), (64, 0.25e-12, 7.3e-5)])
def test_activations_between_layers_are_next_to_nothing(batch: int, link_j_per_bit: float, share: float) -> None:
    """An 8B model decoding at batches 1 to 64: 2e-7 (3D link) to 7e-5 (UCIe advanced) of the energy of its memory reads."""
    hops = 35 * links.hop_energy_j(4096, 2, link_j_per_bit)

    assert hops / links.dram_energy_j(16.4e9, 0.0, batch, 3.9e-12) == pytest.approx(share, rel=0.05)


def test_the_platform_as_sold_changes_nothing(result: Result) -> None:
    """No factor, no crossing, no link: no energy at all (negative control)."""
    assert packaging.energy_j(result, QWEN, deployment(Packaging(dram_j_per_bit=3.9e-12))) == {}


def test_refusals(result: Result) -> None:
    """A factor on an energy that nobody gave; a share above 1."""
    with pytest.raises(OutOfValidityError, match="dram_j_per_bit"):
        packaging.energy_j(result, QWEN, deployment(Packaging(dram_energy_factor=0.8)))
    with pytest.raises(OutOfValidityError, match="a share in"):
        packaging.energy_j(result, QWEN, deployment(replace(Packaging(), crossing_share=1.5)))
