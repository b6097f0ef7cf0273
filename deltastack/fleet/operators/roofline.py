"""Operator times by a plain roofline, for accelerators that nobody measured: the larger of arithmetic and bytes, no efficiency.

    t = max(flop / peak, bytes / memory_bytes_per_s)

Matrix products of n tokens: 2 n W flop, W weights read once, activations in and out. Attention of a chunk c over a prefix p,
causal: 4 h d c (p + c/2) flop, keys and values of p + c tokens read. Decoding: b sequences over k tokens, one token each.
Every value is tagged ``ROOFLINE``: measured serving is 1.4 to 2 times slower, so results carry the evidence ``assumed``.

Source: Williams, Waterman & Patterson, CACM 52(4), 2009; shapes of the models from ``shapes``. Assumes: tensor parallelism
divides every operator; its all-reduce moves 2 (t-1)/t of the activations twice a layer over the node's links.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import UnknownNameError
from deltastack.fleet.operators import grids
from deltastack.fleet.operators.shapes import decoder, encoder, shapes
from deltastack.fleet.operators.tables import OperatorTables, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.operators.shapes import Shapes, Tensors

WEIGHT_BYTES = {"bf16": 2.0, "fp8": 1.0, "nvfp4": 0.5625}
"""Bytes of one weight; nvfp4 has one 8-bit scale for 16 of 4 bits."""
ACTIVATION_BYTES = 2.0
OFF = "measured serving takes 1.4 to 2 times as long"


def words(tables: OperatorTables) -> str | None:
    """That nobody measured the platform, and how far such numbers were off; None where somebody did."""
    if not all((codes == Source.ROOFLINE).all() for codes in tables.sources.values()):
        return None
    return f"roofline only: nobody measured {tables.platform}; {OFF}"


class _Roof:
    """One model in one precision on one platform."""

    def __init__(self, s: Shapes, platform: Platform, precision: str, tensor_parallel: int) -> None:
        if s.experts:
            raise UnknownNameError("a mixture of experts has no roofline here: which experts a batch meets decides its bytes")
        if precision not in WEIGHT_BYTES:
            raise UnknownNameError(f"no precision '{precision}'; the roofline has: {', '.join(WEIGHT_BYTES)}")
        self.s, self.wide = s, tensor_parallel
        self.peak, self.plain_peak = platform.peak(precision), platform.peak("bf16")
        self.bytes_per_s, self.link_bytes_per_s = platform.memory_bytes_per_s, platform.link_bytes_per_s
        self.weight_bytes = WEIGHT_BYTES[precision]
        q, kv = s.heads * s.head_dim, s.kv_heads * s.head_dim
        self.attention_weights = s.layers * s.hidden_size * (2 * q + 2 * kv)
        self.ffn_weights = s.layers * 3 * s.hidden_size * s.intermediate_size
        self.head_weights = s.vocabulary * s.hidden_size
        self.kv_bytes = 2 * s.layers * max(s.kv_heads / tensor_parallel, 1.0) * s.head_dim * ACTIVATION_BYTES

    def product_s(self, n: NDArray[np.int64], weights: float, *, plain: bool = False) -> NDArray[np.float64]:
        """N tokens through ``weights`` weights."""
        share, each = weights / self.wide, ACTIVATION_BYTES if plain else self.weight_bytes
        flop = 2.0 * n * share / (self.plain_peak if plain else self.peak)
        found: NDArray[np.float64] = np.maximum(
            flop, (share * each + n * self.s.hidden_size * ACTIVATION_BYTES) / self.bytes_per_s
        )
        return found

    def core_s(self, flop: NDArray[np.float64], keys: NDArray[np.float64]) -> NDArray[np.float64]:
        """An attention core of the whole model: ``flop`` of it, ``keys`` tokens of keys and values read."""
        return np.maximum(flop / self.wide / self.plain_peak, keys * self.kv_bytes / self.bytes_per_s)

    def pass_s(self, n: NDArray[np.int64]) -> NDArray[np.float64]:
        """Everything of n tokens that is no product and no attention: norms read and write them; all-reduces send them."""
        once = n * self.s.hidden_size * ACTIVATION_BYTES * self.s.layers
        sent = 2 * 2 * (self.wide - 1) / self.wide * once / self.link_bytes_per_s
        found: NDArray[np.float64] = 4 * once / self.bytes_per_s + sent
        return found

    def encoder_s(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Visual tokens (E,), images (I,) and times (E, I); empty for a model of text."""
        if self.s.vision is None:
            return np.zeros(0, np.int64), grids.images(), np.zeros((0, grids.images().size))
        v, tokens, images = self.s.vision, grids.image_tokens(), grids.images()
        patches = tokens[:, None] * v.merge_size**2 * images
        blocks = sum(math.prod(t) for name, t in encoder(self.s).items() if name.startswith("visual.blocks"))
        rest = sum(math.prod(t) for name, t in encoder(self.s).items() if "merger" in name)
        seen = 4.0 * v.depth * v.hidden_size * patches * (tokens[:, None] * v.merge_size**2) / self.wide / self.plain_peak
        merged = self.product_s(tokens[:, None] * images, rest, plain=True)
        return tokens, images, self.product_s(patches, blocks, plain=True) + merged + seen


def build(model: str, platform: Platform, precision: str, tensor_parallel: int, *, context_limit_tokens: int) -> OperatorTables:
    """The tables of ``model`` on ``platform``, every value tagged ``ROOFLINE``.

    Raises:
        UnknownNameError: No shapes of the model, or no such arithmetic on the platform.
    """
    s = shapes(model)
    roof = _Roof(s, platform, precision, tensor_parallel)
    n, m, p, q, b, k = grids.tokens(), grids.sequences(), grids.chunks(), grids.prefixes(), grids.batches(), grids.contexts()
    gemm_s = np.stack([roof.product_s(n, roof.attention_weights), roof.product_s(n, roof.ffn_weights), np.zeros(n.size)])
    size, images, encoder_s = roof.encoder_s()
    each = 4.0 * s.layers * s.heads * s.head_dim
    chunk, prefix, batch = (x.astype(np.float64) for x in (p[:, None], q[None, :], b[:, None]))
    arrays = {
        "linear_s": gemm_s + np.stack([np.zeros(n.size), np.zeros(n.size), roof.pass_s(n)]),
        "linear_gemm_s": gemm_s,
        "logits_s": roof.product_s(m, roof.head_weights),
        "prefill_attention_s": roof.core_s(each * chunk * (prefix + 0.5 * chunk), prefix + chunk),
        "decode_attention_s": roof.core_s(each * batch * k, batch * k),
        "encoder_s": encoder_s,
    }
    return OperatorTables(
        model=model,
        platform=platform.name,
        precision=precision,
        tensor_parallel=tensor_parallel,
        weight_bytes=_weights(decoder(s)) * roof.weight_bytes / tensor_parallel,
        encoder_weight_bytes=_weights(encoder(s)) * ACTIVATION_BYTES / tensor_parallel,
        kv_bytes_per_token=roof.kv_bytes,
        layers=s.layers,
        hidden_size=s.hidden_size,
        context_limit_tokens=context_limit_tokens,
        token_n=n,
        logits_n=m,
        prefill_chunk=p,
        prefill_prefix=q,
        decode_batch=b,
        decode_kv=k,
        encoder_tokens=size,
        encoder_images=images,
        linear_s=arrays["linear_s"],
        linear_gemm_s=arrays["linear_gemm_s"],
        logits_s=arrays["logits_s"],
        prefill_attention_s=arrays["prefill_attention_s"],
        decode_attention_s=arrays["decode_attention_s"],
        encoder_s=arrays["encoder_s"],
        sources={name: np.full(a.shape, Source.ROOFLINE, np.uint8) for name, a in arrays.items()},
        provenance={"tool": "roofline", "data": f"{platform.name}: {platform.source}", "licence": "Apache-2.0"},
    )


def _weights(tensors: Tensors) -> float:
    return float(sum(math.prod(t) for t in tensors.values()))
