"""Layer pipeline: the search for a split, what the fleet keeps, losses that are losses, controls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deltastack.errors import OutOfValidityError
from deltastack.fleet.deployment import Deployment, Encoder
from deltastack.fleet.effects.schedule import accelerators_per_replica
from deltastack.fleet.operators import load_tables
from deltastack.layers import layer, pipeline, techniques

ROOT = Path(__file__).parents[2]
SERVED = Deployment(model="Qwen/Qwen3-VL-8B-Instruct", platform="h100_sxm", replicas=8)
LAYER = layer("pipeline")
SPLIT, POOL = (one.params for one in techniques.chosen(ROOT, LAYER))


def apply_techniques(name: str, deployment: Deployment = SERVED, **change: object) -> Deployment:
    """``deployment`` with one technique, some of its central values changed."""
    params = {"attention_ffn": SPLIT, "encoder_pool": POOL}[name].model_copy(update=change)
    return LAYER.technique(name).rewrite(deployment, params) or deployment


def test_a_competent_team_switches_neither_on() -> None:
    """On a dense model and few accelerators both lose, so ``all`` of this layer is the base."""
    assert [c.name for c in techniques.chosen(ROOT, LAYER) if c.on] == []


@pytest.mark.parametrize("name", ["attention_ffn", "encoder_pool"])
@pytest.mark.parametrize("replicas", [2, 3, 8])
def test_the_fleet_keeps_its_accelerators(name: str, replicas: int) -> None:
    """What one pool gets the other gives: the sum stays that of the base."""
    found = apply_techniques(name, replace(SERVED, replicas=replicas))

    assert found.replicas * accelerators_per_replica(found) + found.encoder.pool_size == pytest.approx(replicas)


def test_one_accelerator_becomes_two() -> None:
    """There is no half an accelerator: a single replica gets one beside it, and that is paid for."""
    alone = replace(SERVED, replicas=1)

    assert (
        apply_techniques("attention_ffn", alone).replicas * accelerators_per_replica(apply_techniques("attention_ffn", alone))
        == 2
    )
    assert (apply_techniques("encoder_pool", alone).replicas, apply_techniques("encoder_pool", alone).encoder.pool_size) == (1, 1)


def test_the_split_is_searched() -> None:
    """Of 7 splits of eight accelerators, with up to 6 micro-batches each, six and two are quickest: still a loss."""
    p = SPLIT
    assert isinstance(p, pipeline.AttentionFfnParams)
    tables = load_tables(SERVED.model, SERVED.platform, "bf16")
    found = pipeline.splits(tables, p, 8)

    assert len(found) == 7
    assert found[0].step_s == min(s.step_s for s in found)
    assert (found[0].attention, found[0].ffn) == (6, 2)
    assert len(found[0].schedule.efficiency) == 6
    assert found[0].step_s > pipeline.colocated_step_s(tables, p)


def test_noise_costs_rate_and_none_costs_nothing() -> None:
    """Step times that vary by 0.5 slow the loop by more than those that vary by 0.2; without variation the efficiency is 1."""
    rates = [apply_techniques("attention_ffn", variation=v).schedule.efficiency for v in (0.0, 0.2, 0.5)]

    assert rates[0] == (1.0,) * 6
    assert 1.0 > rates[1][1] > rates[2][1] > 0.7
    assert rates[2][0] == 1.0


def test_controls_leave_the_deployment() -> None:
    """One pool, and no encoder accelerator, are the deployment itself."""
    for one in techniques.chosen(ROOT, LAYER, draw=2, draws=5):
        assert replace(techniques.apply_techniques(SERVED, [one.control()]), notes={}) == SERVED


def test_an_encoder_that_has_a_pool_keeps_the_larger() -> None:
    """A pool that another layer asked for is not paid twice."""
    apart = replace(SERVED, encoder=Encoder(placement="pool", pool_size=2))

    assert apply_techniques("encoder_pool", apart).encoder.pool_size == 2


def test_tensor_parallelism_is_refused() -> None:
    """The loop is of single accelerators."""
    with pytest.raises(OutOfValidityError, match="not for tensor parallelism 2"):
        apply_techniques("attention_ffn", replace(SERVED, tensor_parallel=2))
