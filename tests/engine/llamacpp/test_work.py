"""Exact work: a case by hand, a loop over passes that must agree, and sizes of a decoder by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.engine.llamacpp import work
from deltastack.engine.llamacpp.counters import Count, EngineCounts, RequestCounts
from deltastack.engine.llamacpp.weights import Precision, Tensor
from deltastack.engine.llamacpp.work import Batching, DecoderSize
from deltastack.errors import EvidenceError, ParamsError

NONE = Count(None, "not speculative")
SIZE = DecoderSize(blocks_byte=1000, head_byte=100, key_width=64, value_width=32)


def counts(computed: int, cached: int, generated: int, drafted: Count = NONE) -> RequestCounts:
    """Of one request."""
    return RequestCounts(computed=computed, cached=cached, generated=generated, drafted=drafted, accepted=drafted)


def test_one_request_by_hand() -> None:
    """Ten tokens of which 2 are cached, 3 generated, batches of 4 in micro-batches of 3: passes of 3, 1, 3, 1 and two more.

    Weights: 6 passes of 1000 bytes and 3 outputs of 100. Keys and values: 2 bytes times 96 numbers, of 8 + 2 tokens. Reads: the
    cache holds 5, 6, 9, 10 after the passes of the prompt, 11 and 12 after the other two.
    """
    found = work.of_request(SIZE, counts(8, 2, 3), Batching(batch=4, micro_batch=3))
    assert found.passes == 6
    assert found.weights_read_byte == 6 * 1000 + 3 * 100
    assert found.tokens_computed == 10
    assert found.kv_written_byte == 10 * 192
    assert found.kv_read_byte == (5 + 6 + 9 + 10 + 11 + 12) * 192


@given(
    computed=st.integers(1, 60),
    cached=st.integers(0, 20),
    generated=st.integers(1, 9),
    batch=st.integers(1, 40),
    micro=st.integers(1, 40),
)
def test_a_loop_over_passes_agrees(computed: int, cached: int, generated: int, batch: int, micro: int) -> None:
    """Token by token as the engine takes them."""
    there, passes, read, left = cached, 0, 0, computed
    while left:
        call = min(left, batch)
        left -= call
        while call:
            piece = min(call, micro)
            call, there, passes = call - piece, there + piece, passes + 1
            read += there
    for _ in range(generated - 1):
        there, passes = there + 1, passes + 1
        read += there
    found = work.of_request(SIZE, counts(computed, cached, generated), Batching(batch=batch, micro_batch=micro))
    assert found.passes == passes
    assert found.kv_read_byte == read * 192
    assert found.weights_read_byte == passes * 1000 + generated * 100


def test_a_prompt_with_a_picture_by_hand() -> None:
    """One word, a picture of 16 tokens, three words, 5 generated: the parts are passes of their own, the picture two of 8.

    Passes: 1 + 2 + 1 of the prompt and 4 more. The cache holds 1, 9, 17, 20 after the first, and 21 to 24 after the others.
    """
    found = work.of_request(SIZE, counts(20, 0, 5), Batching(batch=2048, micro_batch=8), (1, 16))
    assert (found.passes, found.tokens_computed) == (8, 24)
    assert found.weights_read_byte == 8 * 1000 + 5 * 100
    assert found.kv_read_byte == (1 + 9 + 17 + 20 + 21 + 22 + 23 + 24) * 192
    for computed, cached in ((17, 0), (20, 3)):
        with pytest.raises(EvidenceError, match="in parts"):
            work.of_request(SIZE, counts(computed, cached, 5), Batching(batch=2048, micro_batch=8), (1, 16))


def test_a_run_from_the_engines_counts_by_hand() -> None:
    """Two requests, 20 prompt tokens, 10 generated in 7 calls, 4 drafted and 3 accepted: 20 + (10 - 2 - 3) + 4 tokens."""
    seen = EngineCounts(
        prompt_tokens_total=20,
        prompt_tokens_cached_total=5,
        tokens_predicted_total=10,
        n_decode_total=7,
        spec_decode_num_draft_tokens_total=4,
        spec_decode_num_accepted_tokens_total=3,
        spec_decode_num_drafts_total=2,
    )
    found = work.of_run(SIZE, seen, Batching(batch=512, micro_batch=512), requests=2)
    assert (found.tokens_computed, found.passes, found.weights_read_byte) == (29, 7, 7 * 1100)
    assert found.kv_written_byte == 29 * 192
    assert found.kv_read_byte is None
    assert found.reason is not None
    with pytest.raises(ParamsError, match="n_batch 513 is more than n_ubatch 512"):
        work.of_run(SIZE, seen, Batching(batch=513, micro_batch=512), requests=2)


def test_keys_and_values_take_their_types_bytes() -> None:
    """64 numbers in 8 bits are 2 blocks of 34 bytes, 32 in 4 bits one of 18."""
    assert work.kv_token_byte(SIZE, Batching(batch=1, micro_batch=1, key_type="q8_0", value_type="q4_0")) == 68 + 18
    with pytest.raises(ParamsError, match="no whole blocks of 256"):
        work.kv_token_byte(SIZE, Batching(batch=1, micro_batch=1, key_type="q4_k"))
    with pytest.raises(ParamsError, match="no number type 'q9'"):
        work.kv_token_byte(SIZE, Batching(batch=1, micro_batch=1, key_type="q9"))


def test_drafted_or_empty_requests_are_refused() -> None:
    """Their passes are not known from their own counts."""
    for one in (counts(1, 0, 2, Count(3)), counts(1, 0, 0)):
        with pytest.raises(EvidenceError, match="drafted or empty"):
            work.of_request(SIZE, one, Batching(batch=1, micro_batch=1))


def test_the_size_of_a_decoder_by_hand() -> None:
    """Two layers; a matrix of 64 x 64 in 8 bits is 128 blocks of 34 bytes; rows of 48 are no whole blocks."""
    tensors = [
        Tensor("token_embd.weight", np.zeros((10, 64), np.float32)),
        Tensor("output_norm.weight", np.zeros(64, np.float32)),
    ]
    for n in (0, 1):
        tensors += [
            Tensor(f"blk.{n}.attn_k.weight", np.zeros((64, 64), np.float32)),
            Tensor(f"blk.{n}.attn_v.weight", np.zeros((32, 48), np.float32)),
        ]
    found = work.size(tensors, Precision.Q8_0)
    assert found.blocks_byte == 64 * 4 + 2 * (128 * 34 + 32 * 48 * 4)
    assert found.head_byte == 20 * 34
    assert (found.key_width, found.value_width) == (128, 64)
    apart = work.size([*tensors, Tensor("output.weight", np.zeros((5, 64), np.float32))], Precision.F32)
    assert apart.head_byte == 5 * 64 * 4
    assert apart.blocks_byte == 64 * 4 + 2 * (64 * 64 + 32 * 48) * 4
