"""Operator times under another arithmetic: sparse weights by token count, and softmax without its exponentials.

    linear'_c(n) = linear_c(n) - gemm_c(n) (1 - f(n))            c in attention, ffn; f: physics.arithmetic
    prefill'(c, p) = prefill(c, p) - s (1 - o) h L (c p + c^2 / 2) / R

f is the sparse kernel's time over the dense one's, above 1 where it is slower. s is the share of the exponentials' time that
an approximation saves, o the share that kernels hide already. Decoding is bound by the bytes of keys, which hide its
exponentials: nothing is saved there. Weights shrink to r = N / M + index bits; embedding and output matrix stay dense, and
so does the encoder. The efficiencies of kernels are assumed or published, so a changed time has the source ROOFLINE.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import OutOfValidityError
from deltastack.fleet.effects import weights
from deltastack.fleet.operators import LINEAR_COMPONENTS, Source
from deltastack.fleet.operators.shapes import shapes
from deltastack.fleet.physics.arithmetic import Softmax, Sparsity, knee_tokens, sparse_time_factor
from deltastack.model import Component

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.deployment import Arithmetic, Deployment
    from deltastack.fleet.operators import OperatorTables

WEIGHT_BITS = {"bf16": 16, "fp8": 8, "nvfp4": 4}
SPARSE = (Component.ATTENTION, Component.FFN)


def tables(tables: OperatorTables, deployment: Deployment, platform: Platform) -> OperatorTables:
    """``tables`` with the deployment's arithmetic: the same object for the arithmetic that they were made for.

    Raises:
        OutOfValidityError: A pattern that is none, or a platform whose exponentials nobody counted.
        UnknownNameError: Nobody wrote down the shapes of the model.
    """
    wanted = deployment.arithmetic
    sparse = _sparse(tables, wanted, platform) if wanted.kept != wanted.group else tables
    saved = wanted.exponential_saving * (1 - wanted.exponential_overlap)
    return _without_exponentials(sparse, saved, platform) if saved != 0 else sparse


def sparsity(arithmetic: Arithmetic, precision: str) -> Sparsity:
    """The pattern and kernel of ``arithmetic`` on weights of ``precision``.

    Raises:
        OutOfValidityError: A pattern that is none, or a precision of unknown width.
    """
    if precision not in WEIGHT_BITS:
        raise OutOfValidityError(f"no width known for {precision}; there are: {', '.join(WEIGHT_BITS)}")
    return Sparsity(
        kept=arithmetic.kept,
        group=arithmetic.group,
        weight_bits=WEIGHT_BITS[precision],
        byte_efficiency=arithmetic.byte_efficiency,
        compute_efficiency=arithmetic.compute_efficiency,
    )


def _sparse(tables: OperatorTables, wanted: Arithmetic, platform: Platform) -> OperatorTables:
    pattern = sparsity(wanted, tables.precision)
    flops = wanted.peak_share * platform.peak(tables.precision)
    knee = knee_tokens(flops, wanted.bandwidth_share * platform.memory_bytes_per_s, pattern.weight_bits)
    factor = sparse_time_factor(tables.token_n, knee, pattern)
    applies = np.array([[c in SPARSE] for c in LINEAR_COMPONENTS])
    gemm_s = np.where(applies, tables.linear_gemm_s * factor, tables.linear_gemm_s)
    bytes_of = weights.by_component(tables)
    return replace(
        tables,
        linear_s=tables.linear_s - tables.linear_gemm_s + gemm_s,
        linear_gemm_s=gemm_s,
        weight_bytes=tables.weight_bytes - (1 - pattern.byte_ratio) * sum(bytes_of[c] for c in SPARSE),
        sources=_modelled(tables, "linear_s", "linear_gemm_s"),
    )


def exponentials_s(tables: OperatorTables, platform: Platform) -> NDArray[np.float64]:
    """Time (P, Q) [s] of the exponentials of a chunk over a prefix, if nothing hides them: h L (c p + c^2 / 2) / R.

    Raises:
        OutOfValidityError: A platform whose exponentials nobody counted.
        UnknownNameError: Nobody wrote down the heads of the model.
    """
    if platform.exponentials_per_s is None:
        raise OutOfValidityError(f"nobody wrote down exponentials_per_s of {platform.name}, so their share is not known")
    heads = shapes(tables.model).heads / tables.tensor_parallel
    softmax = Softmax(heads=heads, layers=tables.layers, exponentials_per_s=platform.exponentials_per_s)
    return softmax.chunk_seconds(tables.prefill_chunk[:, None], tables.prefill_prefix[None, :])


def _without_exponentials(tables: OperatorTables, saved: float, platform: Platform) -> OperatorTables:
    left_s = tables.prefill_attention_s - saved * exponentials_s(tables, platform)
    if (left_s < 0).any():
        raise OutOfValidityError(
            f"the exponentials of some prompts take longer than all of their attention on {platform.name}: "
            f"they cannot be un-overlapped there; raise exponential_overlap"
        )
    return replace(tables, prefill_attention_s=left_s, sources=_modelled(tables, "prefill_attention_s"))


def _modelled(tables: OperatorTables, *names: str) -> dict[str, NDArray[np.uint8]]:
    """The sources with the named arrays marked as computed from published or assumed rates."""
    return {k: np.full_like(v, Source.ROOFLINE) if k in names else v for k, v in tables.sources.items()}
