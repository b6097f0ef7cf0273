"""Operator times under another arithmetic: sparse weights by token count, and another kernel of the same precision.

    linear'_c(n) = linear_c(n) - gemm_c(n) + gemm'_c(n)              c in attention, ffn
    sparse       gemm'_c(n) = f(n) gemm_c(n)
    precision    gemm'_c(n) = gemm_c(n)^(1 - x) (f(n) gemm_c(n) in bf16)^x

f is a kernel's time over the dense 16-bit one's, above 1 where it is slower. Sparse: the measured curve (``physics.kernels``)
on the platform, precision and pattern that it was measured for, else the model of ``physics.arithmetic``. Precision: x goes
from the operator tables (0) to the measured kernel (1). Weights shrink to r = N / M + index bits; embedding and output matrix
stay dense, and so does the encoder. A time from a measured kernel has the source EMPIRICAL, one from a model ROOFLINE.

Exponentials of softmax: the operator times are of kernels that overlap them with matrix work, and how much is hidden cannot be
told from a sum. Nothing is subtracted. What can be known is a ceiling: an approximation saves at most the exponentials
themselves, and at most the time of attention that is not matrix work at the peak,

    saving <= min(h L (c p + c^2 / 2) / R, core - 4 d h L (c p + c^2 / 2) / peak)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import OutOfValidityError, UnknownNameError
from deltastack.fleet.effects import weights
from deltastack.fleet.operators import LINEAR_COMPONENTS, Source, tables_for
from deltastack.fleet.operators.shapes import shapes
from deltastack.fleet.physics.arithmetic import Softmax, Sparsity, knee_tokens, sparse_time_factor
from deltastack.fleet.physics.kernels import time_factor
from deltastack.model import Component

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.accounting.run_account import Account
    from deltastack.fleet.deployment import Arithmetic, Deployment, Kernel
    from deltastack.fleet.operators import OperatorTables

WEIGHT_BITS = {"bf16": 16, "fp8": 8, "nvfp4": 4}
SPARSE = (Component.ATTENTION, Component.FFN)


def tables(tables: OperatorTables, deployment: Deployment, platform: Platform) -> OperatorTables:
    """``tables`` with the deployment's arithmetic: the same object for the arithmetic that they were made for.

    Raises:
        OutOfValidityError: A pattern that is none, or a measured kernel that does not hold.
        UnknownNameError: Nobody wrote down the shapes of the model.
    """
    wanted = deployment.arithmetic
    found = _precise(tables, wanted, platform) if wanted.precise_share > 0 else tables
    return _sparse(found, wanted, platform) if wanted.kept != wanted.group else found


def applies(kernel: Kernel | None, platform: Platform, precision: str) -> bool:
    """Whether ``kernel`` was measured on ``platform`` with weights of ``precision``."""
    return kernel is not None and (kernel.platform, kernel.precision) == (platform.name, precision)


def _precise(tables: OperatorTables, wanted: Arithmetic, platform: Platform) -> OperatorTables:
    kernel = wanted.precise_kernel
    if kernel is None or not applies(kernel, platform, tables.precision):
        return tables
    dense = tables_for(tables.model, platform, "bf16", tables.tensor_parallel)
    measured = np.stack([np.interp(tables.token_n, dense.token_n, row) for row in dense.linear_gemm_s])
    measured *= time_factor(tables.token_n, kernel.tokens, kernel.factor)
    x = wanted.precise_share
    return _with_gemm(tables, tables.linear_gemm_s ** (1 - x) * measured**x, Source.EMPIRICAL)


def _with_gemm(tables: OperatorTables, gemm_s: NDArray[np.float64], source: Source) -> OperatorTables:
    """The matrix products of attention and feed-forward replaced by ``gemm_s`` (3, N)."""
    mine = np.array([[c in SPARSE] for c in LINEAR_COMPONENTS])
    gemm_s = np.where(mine, gemm_s, tables.linear_gemm_s)
    return replace(
        tables,
        linear_s=tables.linear_s - tables.linear_gemm_s + gemm_s,
        linear_gemm_s=gemm_s,
        sources=_modelled(tables, source, "linear_s", "linear_gemm_s"),
    )


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
    pattern, kernel = sparsity(wanted, tables.precision), wanted.sparse_kernel
    measured = kernel is not None and (kernel.kept, kernel.group) == (wanted.kept, wanted.group)
    if kernel is not None and measured and applies(kernel, platform, tables.precision):
        factor, source = time_factor(tables.token_n, kernel.tokens, kernel.factor), Source.EMPIRICAL
    else:
        flops = wanted.peak_share * platform.peak(tables.precision)
        knee = knee_tokens(flops, wanted.bandwidth_share * platform.memory_bytes_per_s, pattern.weight_bits)
        factor, source = sparse_time_factor(tables.token_n, knee, pattern), Source.ROOFLINE
    bytes_of = weights.by_component(tables)
    changed = _with_gemm(tables, tables.linear_gemm_s * factor, source)
    return replace(changed, weight_bytes=tables.weight_bytes - (1 - pattern.byte_ratio) * sum(bytes_of[c] for c in SPARSE))


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


def exponential_ceiling(tables: OperatorTables, platform: Platform) -> NDArray[np.float64]:
    """Share (P, Q) of the attention core of a chunk that an approximation of its exponentials saves at most, 0..1.

    Raises:
        OutOfValidityError: A platform whose exponentials nobody counted.
        UnknownNameError: Nobody wrote down the heads of the model.
    """
    seconds = exponentials_s(tables, platform)
    s = shapes(tables.model)
    products_s = seconds * (platform.exponentials_per_s or 0.0) * 4 * s.head_dim / platform.peak("bf16")
    unmatched = np.clip(tables.prefill_attention_s - products_s, 0.0, seconds)
    found: NDArray[np.float64] = unmatched / tables.prefill_attention_s
    return found


def ceiling_words(account: Account) -> str:
    """What an approximation of softmax's exponentials saves at most in a run, in words."""
    tables, result = account.tables, account.result
    saving = account.deployment.arithmetic.exponential_saving
    try:
        ceiling = exponential_ceiling(tables, account.platform)[:, 0]
    except (OutOfValidityError, UnknownNameError) as error:
        return f"saves nothing that is known: {error}"
    at = {n: float(np.interp(n, tables.prefill_chunk, ceiling)) for n in (1024, 8192)}
    busy_s = result.attention_s + result.ffn_s + result.other_s + result.host_s + result.encoder_s
    most = saving * float(ceiling.max()) * result.prefill_attention_s / busy_s if busy_s else 0.0
    return (
        f"no time is taken off: kernels overlap exponentials with matrix work, and a sum does not tell how much. A ceiling: "
        f"{at[1024]:.0%} of prefill attention at 1,024 tokens and {at[8192]:.0%} at 8,192 are no matrix work at the peak, so "
        f"that saving {saving:.0%} of the exponentials saves less than {most:.2%} of busy time here"
    )


def _modelled(tables: OperatorTables, source: Source, *names: str) -> dict[str, NDArray[np.uint8]]:
    """The sources with the named arrays no better known than ``source``."""
    return {k: np.maximum(v, np.uint8(source)) if k in names else v for k, v in tables.sources.items()}
