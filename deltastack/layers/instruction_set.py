"""Layer ``instruction_set``: lower precision, sparse weights, approximated exponentials.

Each is a rewrite of what is computed; ``fleet.effects.arithmetic`` and the operator tables of the precision say what it takes.
No published instruction set has a "sparse GEMM" or "approximate softmax" mnemonic; what exists are 2:4 sparse tensor cores
(since Ampere) and kernels that overlap or replace exponentials. The quality each costs is quoted in params and in the notes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from deltastack.errors import OutOfValidityError
from deltastack.fleet.effects.arithmetic import sparsity
from deltastack.fleet.operators import Known, known
from deltastack.model import Layer, Params
from deltastack.testbed import switches
from deltastack.testbed.switches import settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.fleet.deployment import Deployment
    from deltastack.testbed.vlm.engine import Engine

AS_SERVED: Literal["as_served"] = "as_served"


class LowPrecisionParams(Params):
    """Which operator times are read."""

    precision: str
    testbed: settings.LowPrecision = settings.LowPrecision(number="as_served")


class LowPrecision:
    """Weights and matrix products in fewer bits: operator times and weight bytes as measured in that precision."""

    name = "low_precision"
    params = LowPrecisionParams

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
        words = f"{deployment.precision} to {p.precision}: language model only; keys, values and encoder stay in 16 bits"
        return replace(deployment, precision=p.precision).noted(self.name, words)

    def switch(self, engine: Engine, p: LowPrecisionParams) -> AbstractContextManager[None] | None:
        """8 bits, or 16, in every linear layer of the served model."""
        return switches.on(self.name, engine, p.testbed)

    def control(self, p: LowPrecisionParams) -> LowPrecisionParams:
        """The precision that is served already."""
        return p.model_copy(update={"precision": AS_SERVED, "testbed": settings.LowPrecision(number=AS_SERVED)})


class SparseGemmParams(Params):
    """N of every M weights kept, and what the sparse kernel reaches."""

    kept: int = Field(ge=1)
    group: int = Field(ge=1)
    byte_efficiency: float = Field(gt=0, le=1)
    compute_efficiency: float = Field(gt=0, le=1)
    peak_share: float = Field(gt=0, le=1)
    bandwidth_share: float = Field(gt=0, le=1)
    testbed: settings.SparseGemm = settings.SparseGemm(density=1)


class SparseGemm:
    """Pruned weights in attention projections and feed-forward; quicker or slower by token count."""

    name = "sparse_gemm"
    params = SparseGemmParams

    def rewrite(self, deployment: Deployment, p: SparseGemmParams) -> Deployment:
        """The deployment with N of every M weights.

        Raises:
            OutOfValidityError: More kept than there are, or a precision of unknown width.
        """
        arithmetic = replace(deployment.arithmetic, **p.model_dump(exclude={"testbed"}))
        ratio = sparsity(arithmetic, deployment.precision).byte_ratio
        words = (
            f"{p.kept}:{p.group} weights in {ratio:.4g} of their bytes; one-shot 2:4 was published to take MMLU from 0.667 to "
            f"0.404 (0.604 after fine-tuning)"
            if p.kept < p.group
            else "all weights kept: the dense kernel"
        )
        return replace(deployment, arithmetic=arithmetic).noted(self.name, words)

    def switch(self, engine: Engine, p: SparseGemmParams) -> AbstractContextManager[None] | None:
        """Pruned blocks in the decoder's feed-forward layers."""
        return switches.on(self.name, engine, p.testbed)

    def control(self, p: SparseGemmParams) -> SparseGemmParams:
        """Density 1: every weight kept."""
        return p.model_copy(update={"kept": p.group, "testbed": settings.SparseGemm(density=1)})


class SoftmaxApproxParams(Params):
    """What an approximation saves of the exponentials, and how many of them are hidden already."""

    saving: float = Field(ge=0, le=1)
    overlap: float = Field(ge=0, le=1)
    testbed: settings.SoftmaxApprox = settings.SoftmaxApprox(degree=None)


class SoftmaxApprox:
    """Cheaper exponentials in prefill attention; overlapped ones leave nothing to save."""

    name = "softmax_approx"
    params = SoftmaxApproxParams

    def rewrite(self, deployment: Deployment, p: SoftmaxApproxParams) -> Deployment:
        """The deployment with approximated exponentials."""
        changed = replace(deployment.arithmetic, exponential_saving=p.saving, exponential_overlap=p.overlap)
        words = f"saves {p.saving:.0%} of the {1 - p.overlap:.0%} of exponentials that no matrix work hides; decoding hides all"
        return replace(deployment, arithmetic=changed).noted(self.name, words)

    def switch(self, engine: Engine, p: SoftmaxApproxParams) -> AbstractContextManager[None] | None:
        """A polynomial in place of the exponential, in every attention."""
        return switches.on(self.name, engine, p.testbed)

    def control(self, p: SoftmaxApproxParams) -> SoftmaxApproxParams:
        """All exponentials hidden."""
        return p.model_copy(update={"overlap": 1.0, "testbed": settings.SoftmaxApprox(degree=None)})


INSTRUCTION_SET = Layer(name="instruction_set", techniques=(LowPrecision(), SparseGemm(), SoftmaxApprox()))
