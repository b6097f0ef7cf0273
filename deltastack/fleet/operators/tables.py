"""Operator times of one model on one platform: plain arrays, seconds, one source tag a value.

The time of one engine step with n tokens, of which a chunk of c tokens extends a prefix of p,
and b sequences decode over an average context of k tokens, is

    step_s = sum_component linear_s(n) + logits_s(b') + prefill_attention_s(c, p) + decode_attention_s(b, k)

with b' the sequences that emit a token. Images are encoded by ``encoder_s(visual tokens an image,
images)`` before their prompt is prefilled.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from deltastack.model import Component

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


class Source(IntEnum):
    """Where one operator time comes from, in order of decreasing confidence; a sum takes the largest."""

    SILICON = 0
    MIXED = 1
    EMPIRICAL = 2
    ROOFLINE = 3


LINEAR_COMPONENTS = (Component.ATTENTION, Component.FFN, Component.OTHER)
"""Rows of ``linear_s``: projections and norms of attention; feed-forward; embedding and the rest."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OperatorTables:
    """Times [s] on grids; axes: N tokens, M sequences, P chunk, Q prefix, B batch, K context, E visual tokens, I images."""

    model: str
    platform: str
    precision: str
    tensor_parallel: int

    weight_bytes: float
    """Language-model weights on one accelerator."""
    encoder_weight_bytes: float
    kv_bytes_per_token: float
    """Key and value bytes of one token on one accelerator."""
    layers: int
    hidden_size: int
    context_limit_tokens: int

    token_n: NDArray[np.int64]
    linear_s: NDArray[np.float64]
    """(3, N), rows in the order of LINEAR_COMPONENTS."""
    linear_gemm_s: NDArray[np.float64]
    """(3, N), the part of ``linear_s`` that is matrix multiplication."""
    logits_n: NDArray[np.int64]
    logits_s: NDArray[np.float64]
    prefill_chunk: NDArray[np.int64]
    prefill_prefix: NDArray[np.int64]
    prefill_attention_s: NDArray[np.float64]
    """(P, Q): attention of a chunk of new tokens over a prefix, causal inside the chunk."""
    decode_batch: NDArray[np.int64]
    decode_kv: NDArray[np.int64]
    decode_attention_s: NDArray[np.float64]
    """(B, K): one token for each of B sequences over K tokens of context each."""
    encoder_tokens: NDArray[np.int64]
    """Visual tokens an image, after merging; empty for a text-only model."""
    encoder_images: NDArray[np.int64]
    encoder_s: NDArray[np.float64]
    """(E, I)."""

    sources: Mapping[str, NDArray[np.uint8]]
    """For each ``*_s`` array a ``Source`` code of the same shape."""
    provenance: Mapping[str, str]
    """Tool, version, database version, licence, date of the snapshot."""

    expert_parallel: int = 1
    """Accelerators that share the experts of a mixture; times and weights are of one of them."""
    ffn_active: float = 1.0
    """Feed-forward weights that a token meets, over those that one accelerator holds; 1 for a dense model."""

    @property
    def multimodal(self) -> bool:
        """Whether the model has a visual encoder here."""
        return self.encoder_tokens.size > 0
