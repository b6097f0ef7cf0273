"""Layer ``instruction_set``: lower precision, sparse weights, approximated exponentials.

Each is a rewrite of what is computed; ``fleet.effects.arithmetic`` and the operator tables of the precision say what it takes.
No published instruction set has a "sparse GEMM" or "approximate softmax" mnemonic; what exists are 2:4 sparse tensor cores
(since Ampere) and kernels that overlap or replace exponentials. The quality each costs is quoted in params and in the notes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from deltastack.errors import OutOfValidityError
from deltastack.fleet.deployment import Kernel
from deltastack.fleet.effects.arithmetic import sparsity
from deltastack.fleet.operators import SCHEMES, Known, known
from deltastack.layers.measurement import Baseline, Exactness, Measurement
from deltastack.layers.technique import Layer, Mechanism, Technique
from deltastack.model import Params
from deltastack.testbed.switches import settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.fleet.deployment import Deployment
    from deltastack.testbed.vlm.engine import Engine

AS_SERVED: Literal["as_served"] = "as_served"


class MeasuredKernel(Params):
    """A matrix kernel beside the dense 16-bit one, measured at some numbers of tokens."""

    platform: str
    precision: str = Field(description="of its weights")
    scheme: str = Field(min_length=1, description="how its numbers are scaled, or its pattern, and whose it is")
    source: str = Field(min_length=1)
    date: str = Field(min_length=4)
    tokens: tuple[float, ...]
    dense_ms: tuple[float, ...]
    kernel_ms: tuple[float, ...]

    @model_validator(mode="after")
    def _paired(self) -> MeasuredKernel:
        """Refuse columns of different lengths, or times that are none."""
        if not len(self.tokens) == len(self.dense_ms) == len(self.kernel_ms) > 0 or min(self.dense_ms + self.kernel_ms) <= 0:
            raise ValueError("tokens, dense_ms and kernel_ms are as many positive numbers each")
        return self

    def kernel(self, kept: int = 1, group: int = 1) -> Kernel:
        """Its time over the dense one's."""
        factor = tuple(k / d for k, d in zip(self.kernel_ms, self.dense_ms, strict=True))
        return Kernel(platform=self.platform, precision=self.precision, kept=kept, group=group, tokens=self.tokens, factor=factor)


class LowPrecisionParams(Params):
    """Which operator times are read, and how far they go to a kernel that was measured apart."""

    precision: str
    measured: MeasuredKernel | None = None
    measured_share: float = Field(default=0.0, ge=0, le=1, description="0: the operator tables', 1: the measured kernel's times")
    testbed: settings.LowPrecision = settings.LowPrecision(number="as_served")


def _bfloat16(engine: Engine) -> AbstractContextManager[None]:
    from deltastack.testbed.switches import low_precision

    return low_precision.bfloat16(engine)


def _packing(engine: Engine, p: LowPrecisionParams) -> AbstractContextManager[None]:
    from deltastack.testbed.switches import low_precision

    return low_precision.packing(engine, p.testbed)


PACKING = Mechanism(name="packing", words="lays out 8-bit weights at every load for the processor's kernels", switch=_packing)


class LowPrecision(Technique[LowPrecisionParams]):
    """Weights and matrix products in fewer bits: operator times and weight bytes as measured in that precision."""

    name = "low_precision"
    params = LowPrecisionParams
    measurement = Measurement(
        exactness=Exactness.APPROXIMATE,
        baseline="the engine's own dtype (32 bits on this processor)",
        carries_over="the direction holds for fp8 and fp4 kernels; the size of the saving is this processor's 8-bit dot product",
        example={"testbed": {"number": "int8"}},
        against={"bfloat16": Baseline("everything in bfloat16, which is what accelerators serve in", _bfloat16)},
    )
    mechanisms = (PACKING,)

    def rewrite(self, deployment: Deployment, p: LowPrecisionParams) -> Deployment:
        """The deployment in ``p.precision``.

        Raises:
            OutOfValidityError: Nobody measured that precision for this model on this platform.
        """
        if p.precision in {AS_SERVED, deployment.precision}:
            return deployment.noted(self.name, f"stays in {deployment.precision}")
        here = (deployment.model, deployment.platform)
        if Known(*here, p.precision, deployment.tensor_parallel) not in known():
            have = [k.precision for k in known() if k[:2] == here and k.tensor_parallel == deployment.tensor_parallel]
            raise OutOfValidityError(
                f"no measured operator times of {deployment.model} in {p.precision} on {deployment.platform} x "
                f"{deployment.tensor_parallel}; there are: {', '.join(have) or 'none'}. Ratios of peak rates are no substitute: "
                f"from fp8 to fp4 they promise 35 % where 8 % was measured"
            )
        words = (
            f"{deployment.precision} to {p.precision}: language model only; keys, values and encoder stay in 16 bits. Operator "
            f"times: {SCHEMES.get(p.precision, p.precision)}{_second(p)}"
        )
        kernel = p.measured.kernel() if p.measured else None
        arithmetic = replace(deployment.arithmetic, precise_kernel=kernel, precise_share=p.measured_share if kernel else 0.0)
        return replace(deployment, precision=p.precision, arithmetic=arithmetic).noted(self.name, words)

    def switch(self, engine: Engine, p: LowPrecisionParams) -> AbstractContextManager[None] | None:
        """8 bits, or 16, in every linear layer of the served model."""
        from deltastack.testbed.switches.low_precision import low_precision

        return low_precision(engine, p.testbed)

    def control(self, p: LowPrecisionParams) -> LowPrecisionParams:
        """The precision that is served already."""
        return p.model_copy(update={"precision": AS_SERVED, "testbed": settings.LowPrecision(number=AS_SERVED)})


def _second(p: LowPrecisionParams) -> str:
    """The measured kernel beside the tables, in words."""
    if p.measured is None:
        return ""
    low, high = (f(p.measured.kernel().factor) for f in (min, max))
    return f"; measured apart on {p.measured.platform}: {low:.2f} to {high:.2f} of dense ({p.measured.scheme})"


class SparseGemmParams(Params):
    """N of every M weights kept, and what the sparse kernel reaches where it was not measured."""

    kept: int = Field(ge=1)
    group: int = Field(ge=1)
    measured: MeasuredKernel | None = None
    """Of ``kept`` : ``group`` weights."""
    byte_efficiency: float = Field(gt=0, le=1)
    compute_efficiency: float = Field(gt=0, le=1)
    peak_share: float = Field(gt=0, le=1)
    bandwidth_share: float = Field(gt=0, le=1)
    testbed: settings.SparseGemm = settings.SparseGemm(density=1)


class SparseGemm(Technique[SparseGemmParams]):
    """Pruned weights in attention projections and feed-forward; quicker or slower by token count."""

    name = "sparse_gemm"
    params = SparseGemmParams
    measurement = Measurement(
        exactness=Exactness.APPROXIMATE,
        baseline="dense matrix products by the processor's own library",
        carries_over="the break-even density is this processor's; accelerators have 2:4 kernels with break-evens of their own",
        example={"testbed": {"density": 0.5}},
    )

    def rewrite(self, deployment: Deployment, p: SparseGemmParams) -> Deployment:
        """The deployment with N of every M weights.

        Raises:
            OutOfValidityError: More kept than there are, or a precision of unknown width.
        """
        kernel = p.measured.kernel(p.kept, p.group) if p.measured and p.kept < p.group else None
        changed = p.model_dump(exclude={"testbed", "measured"})
        arithmetic = replace(deployment.arithmetic, sparse_kernel=kernel, **changed)
        ratio = sparsity(arithmetic, deployment.precision).byte_ratio
        words = (
            f"{p.kept}:{p.group} weights in {ratio:.4g} of their bytes; one-shot 2:4 was published to take MMLU from 0.667 to "
            f"0.404 (0.604 after fine-tuning){_measured(p)}"
            if p.kept < p.group
            else "all weights kept: the dense kernel"
        )
        return replace(deployment, arithmetic=arithmetic).noted(self.name, words)

    def switch(self, engine: Engine, p: SparseGemmParams) -> AbstractContextManager[None] | None:
        """Pruned blocks in the decoder's feed-forward layers."""
        from deltastack.testbed.switches.sparse_gemm import sparse_gemm

        return sparse_gemm(engine, p.testbed)

    def control(self, p: SparseGemmParams) -> SparseGemmParams:
        """Density 1: every weight kept."""
        return p.model_copy(update={"kept": p.group, "testbed": settings.SparseGemm(density=1)})


def _measured(p: SparseGemmParams) -> str:
    """The measured kernel's curve in words."""
    if p.measured is None:
        return ""
    times = ", ".join(f"{f:.2f} at {n:.0f}" for n, f in zip(p.measured.tokens, p.measured.kernel().factor, strict=True))
    return f"; {p.measured.precision} on {p.measured.platform} takes of dense time, by tokens: {times}"


class SoftmaxApproxParams(Params):
    """What an approximation saves of the exponentials."""

    saving: float = Field(ge=0, le=1)
    testbed: settings.SoftmaxApprox = settings.SoftmaxApprox(degree=None)


def _same_path(engine: Engine) -> AbstractContextManager[None]:
    from deltastack.testbed.switches import softmax_approx

    return softmax_approx.same_path(engine)


class SoftmaxApprox(Technique[SoftmaxApproxParams]):
    """Cheaper exponentials: on the fleet a ceiling in words, since operator times do not tell how many of them are hidden."""

    name = "softmax_approx"
    params = SoftmaxApproxParams
    measurement = Measurement(
        exactness=Exactness.APPROXIMATE,
        baseline="the fused attention of the library (sdpa)",
        carries_over="fused kernels hide exponentials behind matrix products there; the share is small in both places",
        example={"testbed": {"degree": 3}},
        against={
            "same_path": Baseline("separate steps with the exact exponential: what the exponential alone costs", _same_path)
        },
    )

    def rewrite(self, deployment: Deployment, p: SoftmaxApproxParams) -> Deployment:
        """The deployment with approximated exponentials; no time changes."""
        changed = replace(deployment.arithmetic, exponential_saving=p.saving)
        words = f"would save {p.saving:.0%} of the exponentials, of which operator times do not tell how many are hidden already"
        return replace(deployment, arithmetic=changed).noted(self.name, words)

    def switch(self, engine: Engine, p: SoftmaxApproxParams) -> AbstractContextManager[None] | None:
        """A polynomial in place of the exponential, in every attention."""
        from deltastack.testbed.switches.softmax_approx import softmax_approx

        return softmax_approx(engine, p.testbed)

    def control(self, p: SoftmaxApproxParams) -> SoftmaxApproxParams:
        """Exact exponentials."""
        return p.model_copy(update={"saving": 0.0, "testbed": settings.SoftmaxApprox(degree=None)})


INSTRUCTION_SET = Layer(name="instruction_set", techniques=(LowPrecision(), SparseGemm(), SoftmaxApprox()))
