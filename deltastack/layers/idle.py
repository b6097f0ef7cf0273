"""Idle: accelerators that nobody needs for a while draw less.

``encoder_sleep`` lets encoders with accelerators of their own sleep between images. With its context kept, an accelerator wakes
in a fraction of a second and saves next to nothing: its clocks decide what it draws, not what is in its memory. With its
context torn down it saves tens of watts and has to be loaded again.

    kept         P_saved = kept_saved_share idle_w       t_w = wake_s        E_w = wake_share board_w wake_s
    torn_down    P_saved = torn_saved_share idle_w       t_w = reload_s      E_w = wake_share board_w reload_s
    timeout T = E_w / P_saved                            (never, where nothing is saved)

Powers are shares of what the accelerator draws, so that sleep never saves more than there is; ``fleet.effects.sleep`` makes watts
of them, for the timeout and for the energy alike.

``replica_sleep`` packs requests on the first replicas that have room. One that was idle for its timeout sleeps, or is given
back to whoever lends it, and starts cold when the others are full. Packing alone already saves energy: larger batches share
the reading of the weights. At the largest rate that meets the goals there is nothing to give back.

Source: Model Parking Tax, arXiv 2605.23918 (power of a context, 26-66 W; memory in use, below 0.02 W a GB); vLLM's sleep mode
(blog, 2025-10-26) for wake times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from deltastack.fleet.deployment import Autoscaling
from deltastack.layers.techniques import FleetOnly, TestbedOnly
from deltastack.model import Layer, Params
from deltastack.testbed import switches
from deltastack.testbed.switches.settings import NEVER_S, EncoderUnload, Nothing

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.fleet.deployment import Deployment
    from deltastack.testbed.vlm.engine import Engine

Policy = Literal["always_on", "timeout", "randomised", "oracle"]


class EncoderSleepParams(Params):
    """params/layers/idle.yaml, ``encoder_sleep``."""

    policy: Policy
    context: Literal["kept", "torn_down"]
    dedicated: int = Field(ge=0, description="move an inline encoder to so many accelerators of its own; 0 leaves it where it is")
    wake_s: float = Field(ge=0)
    reload_s: float = Field(ge=0)
    wake_share: float = Field(ge=0, le=1, description="power while waking, of the board limit")
    kept_saved_share: float = Field(ge=0, le=1, description="of idle power")
    torn_saved_share: float = Field(ge=0, le=1, description="of idle power")


@dataclass(frozen=True, slots=True)
class EncoderSleep(FleetOnly[EncoderSleepParams]):
    """Encoders sleep between images."""

    name: str = "encoder_sleep"
    params: type[EncoderSleepParams] = EncoderSleepParams

    def rewrite(self, deployment: Deployment, p: EncoderSleepParams) -> Deployment:
        """Give the encoder its policy; one on the language model's accelerators has nothing to switch off, and that is noted."""
        encoder = deployment.encoder
        if p.dedicated and encoder.placement == "inline":
            encoder = replace(encoder, placement="pool", pool_size=p.dedicated)
        kept = p.context == "kept"
        wake_s = p.wake_s if kept else p.reload_s
        saved_share = p.kept_saved_share if kept else p.torn_saved_share
        encoder = replace(
            encoder,
            sleep_policy=p.policy if saved_share > 0 else "always_on",
            wake_s=wake_s,
            wake_share=p.wake_share,
            sleep_saved_share=saved_share,
            reloads=not kept,
        )
        return replace(deployment, encoder=encoder).noted(self.name, _words(encoder.placement, p, saved_share))

    def control(self, p: EncoderSleepParams) -> EncoderSleepParams:
        """An encoder that never sleeps."""
        return p.model_copy(update={"policy": "always_on", "dedicated": 0})


def _words(placement: str, p: EncoderSleepParams, saved_share: float) -> str:
    if placement == "inline":
        return "the encoder runs on the language model's accelerators: it has no power of its own to save"
    if saved_share <= 0 or p.policy == "always_on":
        return "encoders never sleep: sleeping would save no power"
    return f"encoders sleep by {p.policy}, context {p.context}: {saved_share:.0%} of idle power saved"


class ReplicaSleepParams(Params):
    """params/layers/idle.yaml, ``replica_sleep``."""

    policy: Literal["fixed", "demand"]
    released: bool = Field(description="what sleeps is given back and charged to nobody, or stays and draws less")
    pack_tokens: float = Field(ge=0, description="tokens of unfinished requests up to which a replica takes more")
    timeout_s: float = Field(ge=0)
    cold_start_s: float = Field(ge=0)
    cold_start_share: float = Field(ge=0, le=1, description="power meanwhile, of the board limit")
    saved_share: float = Field(ge=0, le=1, description="of idle power, where it stays")


@dataclass(frozen=True, slots=True)
class ReplicaSleep(FleetOnly[ReplicaSleepParams]):
    """Replicas sleep while the others have room."""

    name: str = "replica_sleep"
    params: type[ReplicaSleepParams] = ReplicaSleepParams

    def rewrite(self, deployment: Deployment, p: ReplicaSleepParams) -> Deployment:
        """Let demand decide how many replicas are awake; a single replica always is, and that is noted."""
        if p.policy == "fixed":
            return deployment
        scaling = Autoscaling(
            policy="demand",
            pack_tokens=round(p.pack_tokens),
            timeout_s=p.timeout_s,
            cold_start_s=p.cold_start_s,
            cold_start_share=p.cold_start_share,
            saved_share=p.saved_share,
            released=p.released,
        )
        gone = "given back" if p.released else f"drawing {p.saved_share:.0%} less than idle"
        words = f"replicas idle for {p.timeout_s:.0f} s are {gone} and start cold in {p.cold_start_s:.0f} s"
        if deployment.replicas == 1:
            words = "a single replica never sleeps: somebody has to be awake"
        return replace(deployment, autoscaling=scaling).noted(self.name, words)

    def control(self, p: ReplicaSleepParams) -> ReplicaSleepParams:
        """A fixed number of replicas."""
        return p.model_copy(update={"policy": "fixed"})


@dataclass(frozen=True, slots=True)
class EncoderSkip(TestbedOnly[Nothing]):
    """Text-only requests never touch the encoder. On the fleet every deployment does so."""

    name: str = "encoder_skip"
    params: type[Nothing] = Nothing

    def switch(self, engine: Engine, p: Nothing) -> AbstractContextManager[None] | None:
        """No encoder for text."""
        return switches.on(self.name, engine, p)

    def control(self, p: Nothing) -> Nothing:
        """The same: the engine skips the encoder already, so that nothing changes."""
        return p


@dataclass(frozen=True, slots=True)
class EncoderUnloading(TestbedOnly[EncoderUnload]):
    """The encoder's memory is released after a timeout. On the fleet its memory costs next to nothing while it idles."""

    name: str = "encoder_unload"
    params: type[EncoderUnload] = EncoderUnload

    def switch(self, engine: Engine, p: EncoderUnload) -> AbstractContextManager[None] | None:
        """Sleep after the timeout, wake for the next image."""
        return switches.on(self.name, engine, p)

    def control(self, p: EncoderUnload) -> EncoderUnload:
        """A timeout that no gap exceeds."""
        return p.model_copy(update={"timeout_s": NEVER_S})


IDLE = Layer(name="idle", techniques=(EncoderSleep(), ReplicaSleep(), EncoderSkip(), EncoderUnloading()))
