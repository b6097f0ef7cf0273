"""The simulator on cases small enough to follow with a pencil."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from deltastack.fleet.simulator import Config, Requests, simulate, tpot_s, ttft_s
from tests.fakes import fake_tables

if TYPE_CHECKING:
    from deltastack.fleet.operators.tables import OperatorTables

WHOLE = ("images", "image_tokens", "cached_tokens", "cached_images")


def pencil_tables() -> OperatorTables:
    """Times one can add up: attention, ffn, other 1, 2, 3 ms a token, logits 100 ms a sequence.

    A chunk of c tokens over p costs 10 c + p ms of attention, decoding b sequences of k keys b k ms, an image 1 s.
    """
    n = np.array([1, 1000])
    kv, b, p = np.array([1, 1000]), np.array([1, 100]), np.array([0, 1000])
    return replace(
        fake_tables(),
        token_n=n,
        linear_s=np.outer([1e-3, 2e-3, 3e-3], n),
        linear_gemm_s=np.outer([1e-3, 1e-3, 0.0], n),
        logits_n=n,
        logits_s=0.1 * n,
        prefill_chunk=n,
        prefill_prefix=p,
        prefill_attention_s=1e-2 * n[:, None] + 1e-3 * p,
        decode_batch=b,
        decode_kv=kv,
        decode_attention_s=1e-3 * np.outer(b, kv),
        encoder_tokens=np.array([1, 1000]),
        encoder_images=np.array([1, 8]),
        encoder_s=np.array([[1.0, 8.0], [1.0, 8.0]]),
    )


def trace(arrival_s: list[float], prompt: list[int], output: list[int], **columns: list[int]) -> Requests:
    """Requests of text unless columns say otherwise."""
    whole = {name: np.array(columns.get(name, [0] * len(prompt))) for name in WHOLE}
    return Requests(
        arrival_s=np.array(arrival_s),
        prompt_tokens=np.array(prompt),
        output_tokens=np.array(output),
        delay_s=np.array(columns.get("delay_s", [0] * len(prompt)), dtype=float),
        **whole,
    )


@pytest.mark.parametrize("macro_steps", [False, True])
def test_one_request(macro_steps: bool) -> None:  # noqa: FBT001 - a parameter of the case
    """A prompt of 10 then two decode steps: 0.06 + 0.1 + 0.1 s, then 0.006 + 0.1 + 0.011 and + 0.012 s."""
    config = Config(kv_capacity_tokens=100, macro_steps=macro_steps)

    got = simulate(pencil_tables(), trace([1.0], [10], [3]), config)

    assert got.first_token_s[0] == pytest.approx(1.0 + 0.26, rel=1e-12)
    assert got.finish_s[0] == pytest.approx(1.26 + 0.117 + 0.118, rel=1e-12)
    assert got.attention_s == pytest.approx(0.012 + 0.1 + 0.011 + 0.012, rel=1e-12)
    assert got.ffn_s == pytest.approx(0.024, rel=1e-12)
    assert got.other_s == pytest.approx(0.036 + 0.3, rel=1e-12)
    assert got.gemm_s.tolist() == pytest.approx([0.012, 0.012, 0.0], rel=1e-12)
    assert got.prefill_s == pytest.approx(0.26, rel=1e-12)
    assert got.idle_gap_s.tolist() == [1.0]
    assert got.idle_s == 1.0
    assert got.kv_token_s == pytest.approx(10 * 0.26 + 11 * 0.117 + 12 * 0.118, rel=1e-12)
    assert got.kv_peak_tokens.tolist() == [12]
    assert (got.steps, got.decode_steps, got.prefill_tokens, got.decode_kv_token_steps) == (3, 2, 10, 23)


def test_decode_first_then_chunks() -> None:
    """Budget 8: while the first decodes, the second's 10 tokens come as 7 and 3, the last chunk over a prefix of 7."""
    config = Config(kv_capacity_tokens=1000, token_budget=8, max_sequences=4)

    got = simulate(pencil_tables(), trace([0.0, 0.1], [8, 10], [9, 1]), config)

    first_s = 8 * 0.006 + 0.1 + 0.08
    second_s = 8 * 0.006 + 0.1 + 0.07 + 0.009
    third_s = 4 * 0.006 + 0.2 + 0.037 + 0.010
    assert got.first_token_s.tolist() == pytest.approx([first_s, first_s + second_s + third_s], rel=1e-12)
    assert got.prefill_prefix_tokens == 7


def test_prompts_first_stop_decoding() -> None:
    """With prefill first the second's prompt holds up the first's decoding for one whole step."""
    config = Config(kv_capacity_tokens=1000, policy="prefill_first")

    got = simulate(pencil_tables(), trace([0.0, 0.1], [8, 10], [2, 1]), config)

    first_s = 8 * 0.006 + 0.1 + 0.08
    assert got.first_token_s.tolist() == pytest.approx([first_s, first_s + 0.26], rel=1e-12)
    assert got.finish_s[0] == pytest.approx(first_s + 0.26 + 0.006 + 0.1 + 0.009, rel=1e-12)


def test_the_last_in_is_evicted_and_computed_again() -> None:
    """Memory 25 holds 10 + 10 and two steps of two; the third evicts the second, which comes back with 13 tokens."""
    config = Config(kv_capacity_tokens=25)

    got = simulate(pencil_tables(), trace([0.0, 0.0], [10, 10], [6, 6]), config)

    assert got.preemptions == 1
    assert got.prefill_tokens == 10 + 10 + 13
    assert got.kv_peak_tokens.tolist() == [24]
    assert got.steps == 1 + 2 + 3 + 1 + 2


def test_reserving_waits_instead() -> None:
    """With reservation of 16 + 16 > 25 tokens the second starts when the first has finished."""
    config = Config(kv_capacity_tokens=25, kv_policy="reserve")

    got = simulate(pencil_tables(), trace([0.0, 0.0], [10, 10], [6, 6]), config)

    assert got.preemptions == 0
    assert got.first_token_s[1] == pytest.approx(got.finish_s[0] + 0.26, rel=1e-12)


def test_cached_tokens_and_images_need_no_compute() -> None:
    """9 of 10 tokens cached: a chunk of 1 over 9; one of two images encoded in 1 s before it."""
    requests = trace([0.0], [10], [1], cached_tokens=[9], images=[2], image_tokens=[8], cached_images=[1])

    got = simulate(pencil_tables(), requests, Config(kv_capacity_tokens=100))

    assert got.encoder_s == 1.0
    assert got.encoded_images == 1
    assert ttft_s(got).tolist() == pytest.approx([1.0 + 0.006 + 0.1 + 0.01 + 0.009], rel=1e-12)
    assert got.kv_peak_tokens.tolist() == [10]


def test_an_encoder_pool_encodes_beside_the_replica() -> None:
    """Two requests with an image, one accelerator: eligible 1 s and 2 s after they came; the pool then idles."""
    requests = trace([0.0, 0.0], [10, 10], [1, 1], images=[1, 1], image_tokens=[8, 8])

    got = simulate(pencil_tables(), requests, Config(kv_capacity_tokens=100, encoder_pool=1))

    assert got.first_token_s.tolist() == pytest.approx([1.26, 2.26], rel=1e-12)
    assert got.encoder_s == 2.0
    assert got.encoder_idle_s == pytest.approx(0.26, rel=1e-12)
    assert got.idle_gap_s.tolist() == pytest.approx([1.0, 0.74], rel=1e-12)


@pytest.mark.parametrize(("budget", "steps", "first_s"), [(8, 1, 4.42), (7, 2, 4.435), (4, 2, 4.43), (2, 4, 4.45), (1, 4, 4.45)])
def test_images_are_spread_over_steps(budget: int, steps: int, first_s: float) -> None:
    """Four images of two visual tokens in a prompt of 20, which begin at its tokens 0, 5, 10, 15; an image takes 1 s.

    A budget of 8 takes all at once: 4 + 0.12 + 0.2 + 0.1 s. One of 7 takes three images and 15 tokens in 3.24 s, the rest in
    1.195 s; one of 4 two and 10 in 2.16 s, the rest in 2.27 s; one of 2 or less one and five: 1.08, 1.085, 1.09, 1.195 s.
    """
    requests = trace([0.0], [20], [1], images=[4], image_tokens=[8])

    got = simulate(pencil_tables(), requests, Config(kv_capacity_tokens=100, encoder_budget=budget))

    assert (got.steps, got.encoded_images, got.encoder_s) == (steps, 4, 4.0)
    assert got.first_token_s[0] == pytest.approx(first_s, rel=1e-12)


@pytest.mark.parametrize(("budget", "wait_s"), [(8, 4.0), (2, 1.0)])
def test_who_decodes_waits_for_the_images_of_one_step(budget: int, wait_s: float) -> None:
    """A sequence decodes its second token beside four images of 1 s: it waits for all, or for one; the step takes 0.7 s."""
    requests = trace([0.0, 0.05], [1, 20], [2, 1], images=[0, 4], image_tokens=[0, 8])

    got = simulate(pencil_tables(), requests, Config(kv_capacity_tokens=100, encoder_budget=budget))

    assert got.finish_s[0] - got.first_token_s[0] == pytest.approx(wait_s, abs=0.7)
    assert got.finish_s[0] - got.first_token_s[0] > wait_s


def test_a_closed_loop_sends_the_next_when_one_is_done() -> None:
    """One client, three requests of 0.26 s: each starts when the one before has finished."""
    requests = trace([9.0, 9.0, 9.0], [10, 10, 10], [1, 1, 1])

    got = simulate(pencil_tables(), requests, Config(kv_capacity_tokens=100, clients=1))

    assert got.start_s.tolist() == pytest.approx([0.0, 0.26, 0.52], rel=1e-12)
    assert got.finish_s.tolist() == pytest.approx([0.26, 0.52, 0.78], rel=1e-12)


@pytest.mark.parametrize("macro_steps", [True, False])
def test_in_a_closed_loop_the_next_step_has_the_client_that_came_back(*, macro_steps: bool) -> None:
    """Of two clients the first is done while the second decodes: its next request starts at that instant, not a step later."""
    requests = trace([0.0, 0.0, 0.0], [10, 10, 10], [3, 9, 3])

    got = simulate(pencil_tables(), requests, Config(kv_capacity_tokens=100, clients=2, macro_steps=macro_steps))

    assert got.finish_s[0] == pytest.approx(0.99, rel=1e-12)
    assert got.start_s[2] == pytest.approx(0.99, rel=1e-12)
    assert got.first_token_s[2] == pytest.approx(1.369, rel=1e-12)  # one step of its 10 prompt tokens and the other's next token


def test_the_least_loaded_replica_gets_the_next() -> None:
    """A long request on the first replica sends the next two, one after the other, to the second."""
    requests = trace([0.0, 0.1, 0.5], [100, 10, 10], [50, 1, 1])

    got = simulate(pencil_tables(), requests, Config(kv_capacity_tokens=200, replicas=2, router="least_loaded"))

    assert got.replica.tolist() == [0, 1, 1]


@pytest.mark.parametrize(("need", "second"), [(40, 0), (41, 1), (100, 1)])
def test_a_packed_replica_takes_no_more_than_its_tokens(need: int, second: int) -> None:
    """The first request brings 60 of 100 tokens: one of 40 still fits beside it, one of 41 goes to the next replica."""
    requests = trace([0.0, 0.001], [50, need - 1], [10, 1])
    result = simulate(pencil_tables(), requests, Config(replicas=2, router="packed", pack_tokens=100, kv_capacity_tokens=1000))

    assert result.replica.tolist() == [0, second]


def test_host_overhead_is_paid_by_step_and_sequence() -> None:
    """3 steps of 10 ms and 3 sequence steps of 1 ms make 33 ms, and TPOT grows by 11 ms."""
    tables, requests = pencil_tables(), trace([0.0], [10], [3])

    got = simulate(tables, requests, Config(kv_capacity_tokens=100, host_step_s=0.01, host_sequence_s=0.001))

    assert got.host_s == pytest.approx(0.033, rel=1e-12)
    assert tpot_s(got, requests).tolist() == pytest.approx([(0.117 + 0.118) / 2 + 0.011], rel=1e-12)


def test_the_host_works_for_every_visual_token_once() -> None:
    """Four images of two visual tokens at 25 ms each: 0.2 s more, in the step that encodes them, all host time."""
    requests = trace([0.0], [20], [1], images=[4], image_tokens=[8])
    plain, got = (
        simulate(pencil_tables(), requests, Config(kv_capacity_tokens=100, host_visual_token_s=s)) for s in (0.0, 0.025)
    )

    assert got.host_s == pytest.approx(0.2, rel=1e-12)
    assert got.first_token_s[0] == pytest.approx(plain.first_token_s[0] + 0.2, rel=1e-12)
    assert got.encoder_s == plain.encoder_s


def test_an_evicted_request_returns_before_a_later_one() -> None:
    """The second is evicted when nobody waits, after the third has come and gone; the fourth queues behind it."""
    requests = trace([0.0, 0.0, 0.0, 4.6], [10, 10, 2, 10], [30, 30, 2, 5])

    got = simulate(pencil_tables(), requests, Config(kv_capacity_tokens=50))

    assert got.preemptions == 1
    assert got.finish_s[2] < 1.5
    assert got.first_token_s[3] >= got.finish_s[0]
    assert got.prefill_tokens == 10 + 10 + 2 + (10 + 16) + 10
