"""Layer ``pipeline``: work taken apart over accelerators, so that each kind fills its own.

``attention_ffn`` puts attention and feed-forward on pools of their own, ``encoder_pool`` the visual encoder. Both keep the
number of accelerators, so that nothing is bought on the side: what one pool gets, the other gives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import Field

from deltastack.errors import OutOfValidityError
from deltastack.fleet.deployment import Schedule
from deltastack.fleet.effects.schedule import DISAGGREGATED, Loop
from deltastack.fleet.operators import load_tables
from deltastack.fleet.physics.disaggregation import Stations, rate_per_s, simulated_rate_per_s
from deltastack.layers.techniques import FleetOnly
from deltastack.model import Layer, Params
from deltastack.testbed import switches
from deltastack.testbed.switches import settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.operators import OperatorTables
    from deltastack.testbed.vlm.engine import Engine

SEED = 20260102
PASSES = 20_000


class AttentionFfnParams(Params):
    """Where the best split is searched, and what the link and the noise are."""

    pools: int = Field(ge=1, le=2)
    most_micro_batches: int = Field(ge=1)
    batch: float = Field(ge=1, description="decoding sequences an accelerator")
    context_tokens: float = Field(ge=1)
    hop_s: float = Field(ge=0)
    link_bytes_per_s: float = Field(gt=0)
    variation: float = Field(ge=0)
    testbed: settings.Lanes = settings.Lanes(lanes=1, micro_batches=1)


class Split(NamedTuple):
    """One way to share accelerators, and the decode step it gives at the reference load."""

    attention: int
    ffn: int
    schedule: Schedule
    step_s: float
    """Of ``batch`` sequences an accelerator of the whole fleet, without logits."""


def splits(tables: OperatorTables, p: AttentionFfnParams, accelerators: int) -> list[Split]:
    """Every whole-number split with the efficiency of every number of micro-batches under noise, the quickest first.

    Args:
        tables: Operator times of the model, colocated.
        p: The reference load, link and noise.
        accelerators: To be shared, at least two.
    """
    found = []
    for ffn in range(1, accelerators):
        attention = accelerators - ffn
        sequences = p.batch * accelerators / attention
        core_s = _decode_core_s(tables, sequences, p.context_tokens)
        quiet = Schedule(
            kind=DISAGGREGATED,
            ffn_accelerators_per_replica=ffn / attention,
            hop_s=p.hop_s,
            link_bytes_per_s=p.link_bytes_per_s,
        )
        times = Loop(tables=tables, schedule=quiet)
        noisy = tuple(_efficiency(times, sequences, core_s, parts, p.variation) for parts in range(1, p.most_micro_batches + 1))
        schedule = replace(quiet, efficiency=noisy)
        found.append(Split(attention, ffn, schedule, float(replace(times, schedule=schedule).step_s(sequences, core_s))))
    return sorted(found, key=lambda s: (s.step_s, s.ffn))


def colocated_step_s(tables: OperatorTables, p: AttentionFfnParams) -> float:
    """The decode step [s] of ``batch`` sequences where everything runs together, without logits."""
    linear_s = sum(float(np.interp(p.batch, tables.token_n, row)) for row in tables.linear_s)
    return linear_s + _decode_core_s(tables, p.batch, p.context_tokens)


def _decode_core_s(tables: OperatorTables, sequences: float, context_tokens: float) -> float:
    along = [np.interp(context_tokens, tables.decode_kv, row) for row in tables.decode_attention_s]
    return float(np.interp(sequences, tables.decode_batch, along))


def _efficiency(loop: Loop, sequences: float, core_s: float, parts: int, variation: float) -> float:
    """Rate with noise over rate without, by event simulation; 1 where nothing overlaps or nothing varies."""
    if parts == 1 or variation == 0:
        return 1.0
    times = loop.stations_s(np.array(sequences), np.array(core_s), parts)
    stations = Stations(**dict(zip(("attention_s", "ffn_s", "hop_s"), map(float, times), strict=True)))
    noisy = simulated_rate_per_s(stations, parts, variation=variation, passes=PASSES, seed=SEED)
    return min(noisy / rate_per_s(stations, parts), 1.0)


@dataclass(frozen=True, slots=True)
class AttentionFfn:
    """Attention and feed-forward on accelerators of their own, the split searched (disaggregation)."""

    name: str = "attention_ffn"
    params: type[AttentionFfnParams] = AttentionFfnParams

    def rewrite(self, deployment: Deployment, p: AttentionFfnParams) -> Deployment:
        """The deployment with its accelerators split in the best way for the reference load.

        A deployment of one replica becomes one accelerator for each pool, since there is no half.

        Raises:
            OutOfValidityError: Tensor parallelism, which the loop does not model.
            UnknownNameError: No operator times for the model on the platform.
        """
        if p.pools == 1:
            return deployment.noted(self.name, "attention and feed-forward stay together")
        if deployment.tensor_parallel != 1:
            raise OutOfValidityError(
                f"attention and feed-forward apart are modelled for single accelerators, not for tensor parallelism "
                f"{deployment.tensor_parallel}"
            )
        tables = load_tables(deployment.model, deployment.platform, deployment.precision)
        best = splits(tables, p, max(deployment.replicas, 2))[0]
        together_s = colocated_step_s(tables, p)
        words = (
            f"{best.attention} attention and {best.ffn} feed-forward accelerators, up to {p.most_micro_batches} micro-batches; "
            f"decoding {p.batch:.0f} sequences an accelerator takes {1e3 * best.step_s:.1f} ms a step, together "
            f"{1e3 * together_s:.1f} ms"
        )
        return replace(deployment, replicas=best.attention, schedule=best.schedule).noted(self.name, words)

    def switch(self, engine: Engine, p: AttentionFfnParams) -> AbstractContextManager[None] | None:
        """Attention and feed-forward in lanes of their own: cores for accelerators."""
        return switches.on(self.name, engine, p.testbed)

    def control(self, p: AttentionFfnParams) -> AttentionFfnParams:
        """One pool."""
        return p.model_copy(update={"pools": 1, "testbed": settings.Lanes(lanes=1, micro_batches=1)})


class EncoderPoolParams(Params):
    """How many accelerators encode, and the way of the embeddings."""

    accelerators: int = Field(ge=0)
    link_bytes_per_s: float = Field(gt=0)
    latency_s: float = Field(ge=0)


@dataclass(frozen=True, slots=True)
class EncoderPool(FleetOnly[EncoderPoolParams]):
    """The visual encoder on accelerators of its own (encoder, prefill, decode apart)."""

    name: str = "encoder_pool"
    params: type[EncoderPoolParams] = EncoderPoolParams

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
