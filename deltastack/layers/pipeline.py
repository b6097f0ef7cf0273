"""Layer ``pipeline``: work taken apart over accelerators, so that each kind fills its own.

``attention_ffn`` puts attention and feed-forward on pools of their own, ``encoder_pool`` the visual encoder. Both keep the
number of accelerators, so that nothing is bought on the side: what one pool gets, the other gives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from deltastack.errors import OutOfValidityError
from deltastack.fleet.deployment import Schedule, Search
from deltastack.fleet.effects.schedule import DISAGGREGATED
from deltastack.layers.measurement import Exactness, Measurement
from deltastack.layers.micro_batches import MICRO_BATCHES
from deltastack.layers.technique import Layer, Technique
from deltastack.layers.two_cores import TWO_CORES
from deltastack.model import Params
from deltastack.testbed.switches import settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.fleet.deployment import Deployment
    from deltastack.testbed.vlm.engine import Engine


class AttentionFfnParams(Params):
    """Where the search for the split begins, and what the link and the noise are."""

    pools: int = Field(ge=1, le=2)
    most_micro_batches: int = Field(ge=1)
    batch: float = Field(ge=1, description="decoding sequences an accelerator")
    context_tokens: float = Field(ge=1)
    hop_s: float = Field(ge=0)
    link_bytes_per_s: float = Field(gt=0)
    variation: float = Field(ge=0)
    testbed: settings.Lanes = settings.Lanes(lanes=1, micro_batches=1)


class AttentionFfn(Technique[AttentionFfnParams]):
    """Attention and feed-forward on accelerators of their own, the split searched (disaggregation)."""

    name = "attention_ffn"
    params = AttentionFfnParams
    measurement = Measurement(
        exactness=Exactness.TOKEN,
        baseline="one core, whole batches: what the lanes must pay for with a second core",
        carries_over="an analogue: the rule for micro-batches carries over; the gain there is from many attention units",
        example={"testbed": {"lanes": 2, "micro_batches": 2}},
        against=TWO_CORES,
    )
    mechanisms = (MICRO_BATCHES,)

    def rewrite(self, deployment: Deployment, p: AttentionFfnParams) -> Deployment:
        """The deployment with its accelerators to be split; the bench chooses how, by the largest rate within the goals.

        A deployment of one replica becomes one accelerator for each pool, since there is no half.

        Raises:
            OutOfValidityError: Tensor parallelism, which the loop does not model.
        """
        if p.pools == 1:
            return deployment.noted(self.name, "attention and feed-forward stay together")
        if deployment.tensor_parallel != 1:
            raise OutOfValidityError(
                f"attention and feed-forward apart are modelled for single accelerators, not for tensor parallelism "
                f"{deployment.tensor_parallel}"
            )
        accelerators = max(deployment.replicas, 2)
        schedule = Schedule(
            kind=DISAGGREGATED,
            hop_s=p.hop_s,
            link_bytes_per_s=p.link_bytes_per_s,
            search=Search(
                most_micro_batches=p.most_micro_batches,
                variation=p.variation,
                batch=p.batch,
                context_tokens=p.context_tokens,
            ),
        )
        words = (
            f"{accelerators} accelerators are shared between attention and feed-forward, up to {p.most_micro_batches} micro-"
            f"batches; the split is the one that serves the largest rate within the goals"
        )
        return replace(deployment, replicas=accelerators, schedule=schedule).noted(self.name, words)

    def switch(self, engine: Engine, p: AttentionFfnParams) -> AbstractContextManager[None] | None:
        """Attention and feed-forward in lanes of their own: cores for accelerators."""
        from deltastack.testbed.switches.placement import attention_ffn

        return attention_ffn(engine, p.testbed)

    def control(self, p: AttentionFfnParams) -> AttentionFfnParams:
        """One pool."""
        return p.model_copy(update={"pools": 1, "testbed": settings.Lanes(lanes=1, micro_batches=1)})


class EncoderPoolParams(Params):
    """How many accelerators encode, and the way of the embeddings."""

    accelerators: int = Field(ge=0)
    link_bytes_per_s: float = Field(gt=0)
    latency_s: float = Field(ge=0)


class EncoderPool(Technique[EncoderPoolParams]):
    """The visual encoder on accelerators of its own (encoder, prefill, decode apart)."""

    name = "encoder_pool"
    params = EncoderPoolParams

    def rewrite(self, deployment: Deployment, p: EncoderPoolParams) -> Deployment:
        """The deployment with some of its accelerators for images only; one replica stays at least."""
        if p.accelerators == 0:
            return deployment.noted(self.name, "the encoder stays where it is")
        replicas = max(deployment.replicas - p.accelerators, 1)
        encoder = replace(
            deployment.encoder,
            placement="pool",
            pool_size=max(deployment.encoder.pool_size, p.accelerators),
            transfer_bytes_per_s=p.link_bytes_per_s,
            transfer_latency_s=p.latency_s,
        )
        words = f"{p.accelerators} encoder accelerators and {replicas} replicas, where {deployment.replicas} did both"
        return replace(deployment, replicas=replicas, encoder=encoder).noted(self.name, words)

    def control(self, p: EncoderPoolParams) -> EncoderPoolParams:
        """No accelerator of its own."""
        return p.model_copy(update={"accelerators": 0})


PIPELINE = Layer(name="pipeline", techniques=(AttentionFfn(), EncoderPool()))
