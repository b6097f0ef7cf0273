"""Layer pipeline: the search for a split, what the fleet keeps, losses that are losses, controls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deltastack.errors import CapacityError, OutOfValidityError
from deltastack.fleet import accelerator, evaluate, settings
from deltastack.fleet.deployment import Deployment, Encoder
from deltastack.fleet.effects import split
from deltastack.fleet.effects.schedule import accelerators_per_replica
from deltastack.fleet.operators import load_tables
from deltastack.layers import layer, techniques
from tests.fakes import fake_trace

ROOT = Path(__file__).parents[2]
SERVED = Deployment(model="Qwen/Qwen3-VL-8B-Instruct", platform="h100_sxm", replicas=8)
LAYER = layer("pipeline")
SPLIT, POOL = (one.params for one in techniques.chosen(ROOT, LAYER))


def apply_techniques(name: str, deployment: Deployment = SERVED, **change: object) -> Deployment:
    """``deployment`` with one technique, some of its central values changed."""
    params = {"attention_ffn": SPLIT, "encoder_pool": POOL}[name].model_copy(update=change)
    return LAYER.technique(name).rewrite(deployment, params) or deployment


def small(count: int) -> settings.Settings:
    """Settings with so many requests in the sample at capacity."""
    ready = settings.load(ROOT)
    capacity = ready.values.capacity.model_copy(update={"requests": count, "requests_per_replica": 0, "arrivals": 1})
    return ready._replace(values=ready.values.model_copy(update={"capacity": capacity}))


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


def searched(replicas: int = 8, **change: object) -> list[split.Way]:
    """Every split of so many accelerators."""
    tables = load_tables(SERVED.model, SERVED.platform, "bf16")
    return split.ways(tables, apply_techniques("attention_ffn", replace(SERVED, replicas=replicas), **change))


def test_a_decode_step_alone_prefers_six_to_two() -> None:
    """Of 7 splits of eight accelerators, with up to 6 micro-batches each, six and two decode quickest: still a loss."""
    found = searched()
    quickest = min(found, key=lambda w: w.step_s)
    search = apply_techniques("attention_ffn").schedule.search
    assert search is not None

    assert [(w.attention, w.ffn) for w in found] == [(8 - n, n) for n in range(1, 8)]
    assert (quickest.attention, quickest.ffn) == (6, 2)
    assert all(len(w.deployment.schedule.efficiency) == 6 and w.deployment.schedule.search is None for w in found)
    assert quickest.step_s > split.colocated_step_s(load_tables(SERVED.model, SERVED.platform, "bf16"), search)


@pytest.mark.parametrize("top", range(7))
def test_the_search_climbs_to_the_largest_rate(top: int) -> None:
    """Whatever split serves most, it is found from the quickest decode step, one neighbour after the other; a tie stays."""
    found, asked = searched(), []

    def rate(one: Deployment) -> float:
        asked.append(one.replicas)
        return 10.0 - abs(8 - one.replicas - 1 - top)

    assert split.best(found, rate).ffn == top + 1
    assert len(asked) == len(set(asked))
    assert split.best(found, lambda _: 0.0).ffn == 2


def test_a_split_far_from_the_quickest_step_is_found() -> None:
    """Where only one attention accelerator of eight serves anything within the goals, that split is taken."""
    assert split.best(searched(), lambda one: float(one.replicas == 1)).ffn == 7


def test_the_split_is_chosen_under_the_goals() -> None:
    """Of all 3 splits of four accelerators the bench takes the one with the largest goodput, each searched on its own.

    The goals of the requests are those of the same four accelerators with everything together.
    """
    ready, requests = small(1200), fake_trace(300, 4.0)
    h100 = accelerator.load(ROOT, SERVED.platform)
    together = replace(ready.values.deployment.deployment(), replicas=4)
    four = apply_techniques("attention_ffn", together)
    few = ready._replace(values=small(300).values)
    load = evaluate.offered(evaluate.prepare(together, requests, h100, ready.values), few).load
    rates = {}
    for way in split.ways(load_tables(SERVED.model, SERVED.platform, "bf16"), four):
        try:
            rates[way.attention] = evaluate.goodput(evaluate.prepare(way.deployment, requests, h100, ready.values), load)
        except CapacityError:
            rates[way.attention] = 0.0
    chosen = evaluate.prepare(four, requests, h100, ready.values).deployment

    assert chosen.schedule.search is None
    assert rates[chosen.replicas] == max(rates.values()) > 0
    assert chosen.replicas * accelerators_per_replica(chosen) == pytest.approx(4)
    assert f"{chosen.replicas} attention and {4 - chosen.replicas} feed-forward" in chosen.notes["attention_ffn"]


def test_noise_costs_rate_and_none_costs_nothing() -> None:
    """Step times that vary by 0.5 slow the loop by more than those that vary by 0.2; without variation the efficiency is 1."""
    rates = [searched(2, variation=v)[0].deployment.schedule.efficiency for v in (0.0, 0.2, 0.5)]

    assert rates[0] == (1.0,) * 6
    assert 1.0 > rates[1][1] > rates[2][1] > 0.7
    assert rates[2][0] == 1.0


def test_both_techniques_share_what_is_there() -> None:
    """An encoder pool takes its accelerator first, whatever the order: seven of eight are left to be split."""
    for names in (("attention_ffn", "encoder_pool"), ("encoder_pool", "attention_ffn")):
        found = SERVED
        for name in names:
            found = apply_techniques(name, found)

        assert (found.replicas, found.encoder.pool_size) == (7, 1)
        assert len(split.ways(load_tables(SERVED.model, SERVED.platform, "bf16"), found)) == 6


def test_a_split_of_one_is_refused() -> None:
    """One accelerator has nothing to share."""
    with pytest.raises(OutOfValidityError, match="two accelerators at least, each a replica; found 1 x 1"):
        split.ways(load_tables(SERVED.model, SERVED.platform, "bf16"), replace(apply_techniques("attention_ffn"), replicas=1))


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
