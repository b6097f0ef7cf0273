r"""Exact work of the text decoder: forward passes, bytes of weights read, bytes of keys and values written and read.

One request alone: a prompt of P tokens, C of them cached, G tokens generated, batches of B tokens and micro-batches of U. With
n = P - C computed tokens, a batch of b tokens is ceil(b / U) passes, so that prompt and answer take

    prefill = floor(n / B) ceil(B / U) + ceil((n mod B) / U)          decode = G - 1

since the last token of the prompt gives the first of the answer and the last of the answer is never computed. With W bytes of
blocks, H bytes of the output head and k bytes of keys and values a token,

    weights read = (prefill + decode) W + G H
    written      = (n + G - 1) k
    read         = k sum over passes of (tokens in the cache after the pass)

The head is read by passes that have an output only, one a token generated. The embedding is a look-up of rows and not counted.
``read`` counts each token once a pass: what the attention needs, not what a cache line or a padded tile moves. Source: how
llama.cpp splits batches (``n_batch``, ``n_ubatch``); checked against its own counters in the tests.

Many requests at once share passes, and answers do not say how; ``of_run`` takes the engine's own count of calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltastack.engine.llamacpp.weights import block_byte, stored_byte
from deltastack.errors import EvidenceError, ParamsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deltastack.engine.llamacpp.counters import EngineCounts, RequestCounts
    from deltastack.engine.llamacpp.weights import Precision, Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderSize:
    """What one pass touches: bytes of blocks and head as stored, and the width of keys and values of all layers together."""

    blocks_byte: int
    head_byte: int
    key_width: int
    value_width: int


def size(tensors: Iterable[Tensor], precision: Precision) -> DecoderSize:
    """The size of a decoder with its matrices in ``precision``; a model without an output head shares its embedding's matrix."""
    byte = {t.name: stored_byte(t.values, precision) for t in tensors}
    width = {t.name: int(t.values.shape[0]) for t in tensors}
    embedding, head = byte.pop("token_embd.weight"), byte.pop("output.weight", None)
    return DecoderSize(
        blocks_byte=sum(byte.values()),
        head_byte=embedding if head is None else head,
        key_width=sum(w for name, w in width.items() if name.endswith(".attn_k.weight")),
        value_width=sum(w for name, w in width.items() if name.endswith(".attn_v.weight")),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """How the engine splits tokens, and how it stores keys and values."""

    batch: int
    micro_batch: int
    key_type: str = "f16"
    value_type: str = "f16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Exact amounts; bytes of keys and values read are None with the reason where requests shared passes."""

    tokens_computed: int
    passes: int
    weights_read_byte: int
    kv_written_byte: int
    kv_read_byte: int | None
    reason: str | None = None


def kv_token_byte(decoder: DecoderSize, batching: Batching) -> int:
    """Bytes of keys and values of one token in all layers.

    Raises:
        ParamsError: A type whose bytes are not known, or a width that is no whole number of its blocks.
    """
    return _stored(decoder.key_width, batching.key_type) + _stored(decoder.value_width, batching.value_type)


def prefill_passes(tokens: int, batching: Batching) -> int:
    """Passes over the weights for ``tokens`` prompt tokens that are computed.

    >>> prefill_passes(320, Batching(batch=256, micro_batch=128))
    3
    """
    whole, rest = divmod(tokens, batching.batch)
    return whole * -(-batching.batch // batching.micro_batch) + -(-rest // batching.micro_batch)


def of_request(decoder: DecoderSize, counts: RequestCounts, batching: Batching, first: tuple[int, ...] = ()) -> Work:
    """Work of one request that was served alone and not speculatively.

    Args:
        decoder: What a pass touches.
        counts: Of the answer.
        batching: How tokens are split.
        first: Tokens of the parts of the prompt that are computed apart before the rest: words before a picture, the picture.

    Raises:
        EvidenceError: Drafts were made; nothing was generated; or a prompt of several parts that was cached or is too short.
        ParamsError: As ``kv_token_byte``.
    """
    if counts.drafted.amount is not None or counts.generated < 1:
        raise EvidenceError("work is exact for a request that generated tokens one by one; this one was drafted or empty")
    rest = counts.computed - sum(first)
    if first and (counts.cached or rest < 1):
        found = f"computed {counts.computed}, cached {counts.cached}"
        raise EvidenceError(f"wanted a prompt in parts of {first} and more, all computed; {found}")
    parts = (*first, rest)
    decode = counts.generated - 1
    passes = sum(prefill_passes(part, batching) for part in parts) + decode
    token_byte = kv_token_byte(decoder, batching)
    reads = _prefill_reads(parts, counts.cached, batching) + decode * counts.prompt + decode * (decode + 1) // 2
    return Work(
        tokens_computed=counts.computed + decode,
        passes=passes,
        weights_read_byte=passes * decoder.blocks_byte + counts.generated * decoder.head_byte,
        kv_written_byte=(counts.computed + decode) * token_byte,
        kv_read_byte=token_byte * reads,
    )


def of_run(decoder: DecoderSize, counts: EngineCounts, batching: Batching, *, requests: int) -> Work:
    """Work of ``requests`` text requests from the engine's own counters, whether they shared passes or not.

    A call that checks a draft is one of the counted calls, and computes the draft's tokens beside its own. With Q prompt tokens
    computed, G generated, D drafted and A accepted in R requests, the tokens computed are Q + (G - R - A) + D. Passes of a draft
    model are not among them. Exact where each call is one pass: one slot, or slots with one cache for all (``kv_unified``);
    with several caches, requests of unlike length take more passes than calls. The head is counted once a pass, exact where no
    pass is without an output.

    Raises:
        ParamsError: A batch of more than a micro-batch; or as ``kv_token_byte``.
    """
    if batching.batch > batching.micro_batch:
        raise ParamsError(
            f"n_batch {batching.batch} is more than n_ubatch {batching.micro_batch}: a call may be several passes; set both equal"
        )
    answers = counts.tokens_predicted_total - requests - counts.spec_decode_num_accepted_tokens_total
    tokens = counts.prompt_tokens_total + answers + counts.spec_decode_num_draft_tokens_total
    return Work(
        tokens_computed=tokens,
        passes=counts.n_decode_total,
        weights_read_byte=counts.n_decode_total * (decoder.blocks_byte + decoder.head_byte),
        kv_written_byte=tokens * kv_token_byte(decoder, batching),
        kv_read_byte=None,
        reason="the engine does not say how many tokens each pass found in the cache",
    )


def _prefill_reads(parts: tuple[int, ...], cached: int, batching: Batching) -> int:
    """Tokens in the cache after each pass of the prompt, summed."""
    total, there = 0, cached
    for left in (min(batching.batch, part - start) for part in parts for start in range(0, part, batching.batch)):
        whole, rest = divmod(left, batching.micro_batch)
        total += whole * there + batching.micro_batch * whole * (whole + 1) // 2 + (there + left if rest else 0)
        there += left
    return total


def _stored(width: int, kind: str) -> int:
    block, byte = block_byte(kind)
    if width % block:
        raise ParamsError(f"{width} numbers are no whole blocks of {block} ({kind})")
    return width // block * byte
