"""Shared weights: every worker of one machine maps the same pages instead of reading a copy of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.layers.measurement import Baseline, Exactness, Measurement
from deltastack.layers.storage.baselines import buffered
from deltastack.layers.technique import Technique
from deltastack.testbed.switches.settings import SharedWeights as SharedWeightsParams

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.testbed.sweeps.private_copies import Pair
    from deltastack.testbed.vlm.engine import Engine


def _private_copies(engine: Engine, p: SharedWeightsParams, session_s: float) -> list[Pair]:
    from deltastack.testbed.sweeps.private_copies import private_copies

    return private_copies(engine, p, session_s)


class SharedWeights(Technique[SharedWeightsParams]):
    """The single-machine analogue of a pool of memory. On the fleet, pools are ``memory_pool``."""

    name = "shared_weights"
    params = SharedWeightsParams
    measurement = Measurement(
        exactness=Exactness.BITWISE,
        baseline="safetensors mapped: workers of one machine share its pages already, nothing is left to save",
        carries_over="a single-machine analogue of a memory pool: copies saved carry over, a pool's latency is not here",
        example={"workers": 2},
        rivals=("block_alignment",),
        against={"buffered": Baseline("every worker reads the weights into private memory", buffered)},
        beside={"private_copies": _private_copies},
    )

    def switch(self, engine: Engine, p: SharedWeightsParams) -> AbstractContextManager[None] | None:
        """Serve from a mapping."""
        from deltastack.testbed.switches.storage import shared_weights

        return shared_weights(engine, p)

    def control(self, p: SharedWeightsParams) -> SharedWeightsParams:
        """One worker, which shares with nobody."""
        return p.model_copy(update={"workers": 1})
