"""The load of a run: how hard its accelerators worked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from deltastack.errors import UnknownNameError
from deltastack.fleet import closed_loop
from deltastack.fleet.accounting.utilization import ENCODER_COMPUTE, load_of
from deltastack.fleet.effects.weights import by_component
from deltastack.fleet.operators import load_tables
from deltastack.fleet.simulator import Config, Requests, simulate
from deltastack.model import Component
from tests import strategies
from tests.fakes import fake_tables

PEAK = 1e15
RUN = simulate(fake_tables(), closed_loop.requests(np.array([5]), prompt_tokens=5), Config(kv_capacity_tokens=100))


def test_by_hand() -> None:
    """8e9 weights in bf16, 1e6 tokens and 10 s busy on 1e15 FLOP/s: 1.6; of the 10 s, 2 s in decode attention: 0.2."""
    steps = np.zeros(1001, np.int64)
    steps[1000] = 1000
    run = replace(
        RUN, attention_s=4.0, ffn_s=3.0, other_s=2.0, host_s=1.0, encoder_s=0.0, decode_attention_s=2.0, steps_by_tokens=steps
    )

    load = load_of(run, fake_tables(), peak_flop_per_s=PEAK)
    assert load.compute == pytest.approx(2 * 8e9 * 1e6 / PEAK / 10.0)
    assert load.decode_attention == pytest.approx(0.2)


def test_the_work_of_a_token_is_the_same_in_every_precision() -> None:
    """8.19e9 weights are as many in fp8 as in bf16: 9.4 GB are not 9.4e9 weights, as embedding and output keep 16 bits."""
    model, platform = "Qwen/Qwen3-VL-8B-Instruct", "h100_sxm"
    run = replace(RUN, steps_by_tokens=np.bincount([1000] * 50))
    bf16, fp8 = (load_of(run, load_tables(model, platform, p), peak_flop_per_s=PEAK) for p in ("bf16", "fp8"))

    assert fp8.compute == pytest.approx(bf16.compute, rel=1e-3)


def test_a_token_works_with_its_experts_and_not_with_those_of_others() -> None:
    """Half of the experts that an accelerator holds: 2 operations less for each of the other half's weights and each token."""
    half = load_tables("Qwen/Qwen3-VL-235B-A22B-Instruct", "h200_sxm", "bf16")
    run = replace(RUN, steps_by_tokens=np.bincount([1000] * 50))
    found, every = (load_of(run, t, peak_flop_per_s=PEAK).compute for t in (half, replace(half, ffn_active=1.0)))
    busy_s = run.attention_s + run.ffn_s + run.other_s + run.host_s - run.image_host_s + run.encoder_s

    weights = 94 * (16 * 3 * 4096 * 1536 + 4096 * 128)
    assert half.ffn_active == 0.5
    assert every - found == pytest.approx(2 * 0.5 * weights * 50_000 / PEAK / busy_s, rel=5e-4)  # norms are no operator


def test_two_pools_share_the_work_of_one() -> None:
    """Feed-forward on an accelerator beside: the same work and the same attention over twice the accelerators, half the load."""
    whole = load_tables("Qwen/Qwen3-VL-8B-Instruct", "h100_sxm", "bf16")
    apart = replace(whole, weight_bytes=whole.weight_bytes - by_component(whole)[Component.FFN])
    run = replace(RUN, decode_attention_s=RUN.attention_s / 2, steps_by_tokens=np.bincount([1000] * 50))
    together, two = load_of(run, whole, peak_flop_per_s=PEAK), load_of(run, apart, peak_flop_per_s=PEAK, beside=1.0)

    assert two.compute == pytest.approx(together.compute / 2)
    assert two.decode_attention == pytest.approx(together.decode_attention / 2)


def test_an_inline_encoder_adds_its_time_and_its_work() -> None:
    """10 s of encoding beside 10 s of nothing else measured: 0.43 of peak over half of the time; a pool's does not count."""
    steps = np.zeros(2, np.int64)
    run = replace(
        RUN, attention_s=10.0, ffn_s=0.0, other_s=0.0, host_s=0.0, encoder_s=10.0, decode_attention_s=5.0, steps_by_tokens=steps
    )

    inline = load_of(run, fake_tables(), peak_flop_per_s=PEAK)
    pool = load_of(run, fake_tables(), peak_flop_per_s=PEAK, inline=False)
    assert (inline.compute, inline.decode_attention) == (pytest.approx(ENCODER_COMPUTE / 2), pytest.approx(0.25))
    assert (pool.compute, pool.decode_attention) == (0.0, pytest.approx(0.5))


@settings(max_examples=30, deadline=None)
@given(strategies.serving_cases())
def test_shares_are_shares(case: tuple[Requests, Config, int]) -> None:
    """Decode attention is within 0..1, compute never negative, on any small run."""
    requests, config, seed = case
    tables = fake_tables(seed=seed)
    load = load_of(simulate(tables, requests, config), tables, peak_flop_per_s=PEAK)

    assert 0.0 <= load.decode_attention <= 1.0
    assert load.compute >= 0.0


def test_where_nothing_was_busy_nothing_worked() -> None:
    """A replica that was idle throughout has no load, rather than a division by zero."""
    idle = replace(RUN, attention_s=0.0, ffn_s=0.0, other_s=0.0, host_s=0.0, encoder_s=0.0, decode_attention_s=0.0)

    load = load_of(idle, fake_tables(), peak_flop_per_s=PEAK)
    assert (load.decode_attention, load.compute) == (0.0, 0.0)


def test_a_precision_without_a_size_is_refused() -> None:
    """The message names those that have one."""
    with pytest.raises(UnknownNameError, match="no weight size for precision 'int3'; there are: bf16, fp8, nvfp4"):
        load_of(RUN, replace(fake_tables(), precision="int3"), peak_flop_per_s=PEAK)
