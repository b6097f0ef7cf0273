"""Idle: accelerators that nobody needs for a while draw less.

``encoder_sleep`` lets encoders with accelerators of their own sleep between images. With its context kept, an accelerator wakes
in a fraction of a second and saves nothing: a context keeps the clocks up, whatever its memory holds (measured on an H100:
123 W with weights and without). With its process ended it saves some 50 W and has to be loaded again.

    kept         P_saved = 0                                      t_w = wake_s        never sleeps
    torn_down    P_saved = idle_w(context) - idle_w(no_process)   t_w = reload_s      E_w = wake_share board_w reload_s
    timeout T = E_w / P_saved

``fleet.power`` has the watts, for the timeout and for the energy alike.

``replica_sleep`` gives back, or lets sleep, replicas that were idle for its timeout; they start cold when the others are full. It
needs a router that packs, which the base has: what packing saves is the router's and not this technique's. At the largest rate
that meets the goals there is nothing to give back.

Source: watts measured by this project; vLLM's sleep mode (blog, 2025-10-26) for wake times.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from deltastack.errors import OutOfValidityError
from deltastack.fleet.deployment import Autoscaling
from deltastack.fleet.power import State
from deltastack.layers.measurement import Baseline, Exactness, Measurement
from deltastack.layers.technique import Layer, Technique
from deltastack.model import Params
from deltastack.testbed.switches import idle
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


class EncoderSleep(Technique[EncoderSleepParams]):
    """Encoders sleep between images."""

    name = "encoder_sleep"
    params = EncoderSleepParams

    def rewrite(self, deployment: Deployment, p: EncoderSleepParams) -> Deployment:
        """Give the encoder its policy; one on the language model's accelerators has nothing to switch off, and that is noted."""
        encoder = deployment.encoder
        if p.dedicated and encoder.placement == "inline":
            encoder = replace(encoder, placement="pool", pool_size=p.dedicated)
        kept = p.context == "kept"
        encoder = replace(
            encoder,
            sleep_policy="always_on" if kept else p.policy,
            wake_s=p.wake_s if kept else p.reload_s,
            wake_share=p.wake_share,
            sleep_state=State.CONTEXT if kept else State.NO_PROCESS,
            reloads=not kept,
        )
        return replace(deployment, encoder=encoder).noted(self.name, _words(encoder.placement, p))

    def control(self, p: EncoderSleepParams) -> EncoderSleepParams:
        """An encoder that never sleeps."""
        return p.model_copy(update={"policy": "always_on", "dedicated": 0})


def _words(placement: str, p: EncoderSleepParams) -> str:
    if placement == "inline":
        return "the encoder runs on the language model's accelerators: it has no power of its own to save"
    if p.policy == "always_on" or p.context == "kept":
        return "encoders never sleep: with a context kept an accelerator draws what it draws idle, so that sleep saves 0 W"
    return f"encoders sleep by {p.policy}: their process ends, and they are loaded again in {p.reload_s:.0f} s"


class ReplicaSleepParams(Params):
    """params/layers/idle.yaml, ``replica_sleep``."""

    policy: Literal["fixed", "demand"]
    released: bool = Field(description="what sleeps is given back and charged to nobody, or stays and draws less")
    timeout_s: float = Field(ge=0)
    cold_start_s: float = Field(ge=0)
    cold_start_share: float = Field(ge=0, le=1, description="power meanwhile, of the board limit")


class ReplicaSleep(Technique[ReplicaSleepParams]):
    """Replicas sleep while the others have room."""

    name = "replica_sleep"
    params = ReplicaSleepParams

    def rewrite(self, deployment: Deployment, p: ReplicaSleepParams) -> Deployment:
        """Let demand decide how many replicas are awake; a single replica always is, and that is noted.

        Raises:
            OutOfValidityError: A router that leaves no replica idle.
        """
        if p.policy == "fixed":
            return deployment
        if deployment.router != "packed":
            raise OutOfValidityError(
                f"replicas behind the router '{deployment.router}' are never idle for long: sleep needs router: packed, with its "
                f"pack_tokens, in the deployment"
            )
        scaling = Autoscaling(
            policy="demand",
            timeout_s=p.timeout_s,
            cold_start_s=p.cold_start_s,
            cold_start_share=p.cold_start_share,
            sleep_state=State.NO_PROCESS,
            released=p.released,
        )
        gone = "given back" if p.released else "without a process"
        words = f"replicas idle for {p.timeout_s:.0f} s are {gone} and start cold in {p.cold_start_s:.0f} s"
        if deployment.replicas == 1:
            words = "a single replica never sleeps: somebody has to be awake"
        return replace(deployment, autoscaling=scaling).noted(self.name, words)

    def control(self, p: ReplicaSleepParams) -> ReplicaSleepParams:
        """A fixed number of replicas."""
        return p.model_copy(update={"policy": "fixed"})


class EncoderSkip(Technique[Nothing]):
    """Text-only requests never touch the encoder. On the fleet every deployment does so."""

    name = "encoder_skip"
    params = Nothing
    measurement = Measurement(
        exactness=Exactness.BITWISE,
        baseline="a server that runs the encoder only for requests with an image, as model libraries do: nothing is left to save",
        carries_over="the share of encoder work is the model's and holds; a fixed graph is more common on accelerators",
        against={
            "fixed_graph": Baseline(
                "a server with a fixed graph that runs the encoder on a blank image for text-only requests", idle.fixed_graph
            )
        },
    )

    def switch(self, engine: Engine, p: Nothing) -> AbstractContextManager[None] | None:
        """No encoder for text."""
        return idle.encoder_skip(engine, p)

    def control(self, p: Nothing) -> Nothing:
        """The same: the engine skips the encoder already, so that nothing changes."""
        return p


class EncoderUnloading(Technique[EncoderUnload]):
    """The encoder's memory is released after a timeout. On the fleet its memory costs next to nothing while it idles."""

    name = "encoder_unload"
    params = EncoderUnload
    measurement = Measurement(
        exactness=Exactness.BITWISE,
        baseline="the encoder's weights stay in memory through every gap",
        carries_over="bytes and their seconds hold; waking goes over the host link there, and power does not fall with memory",
        example={"timeout_s": 0.25},
    )

    def switch(self, engine: Engine, p: EncoderUnload) -> AbstractContextManager[None] | None:
        """Sleep after the timeout, wake for the next image."""
        return idle.encoder_unload(engine, p)

    def control(self, p: EncoderUnload) -> EncoderUnload:
        """A timeout that no gap exceeds."""
        return p.model_copy(update={"timeout_s": NEVER_S})


IDLE = Layer(name="idle", techniques=(EncoderSleep(), ReplicaSleep(), EncoderSkip(), EncoderUnloading()))
