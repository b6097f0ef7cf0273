"""Shared weights: every worker of one machine maps the same pages instead of reading a copy of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltastack.layers.techniques import TestbedOnly
from deltastack.testbed import switches
from deltastack.testbed.switches.settings import SharedWeights as SharedWeightsParams

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.testbed.vlm.engine import Engine


@dataclass(frozen=True, slots=True)
class SharedWeights(TestbedOnly[SharedWeightsParams]):
    """The single-machine analogue of a pool of memory. On the fleet, pools are ``memory_pool``."""

    name: str = "shared_weights"
    params: type[SharedWeightsParams] = SharedWeightsParams

    def switch(self, engine: Engine, p: SharedWeightsParams) -> AbstractContextManager[None] | None:
        """Serve from a mapping."""
        return switches.on(self.name, engine, p)

    def control(self, p: SharedWeightsParams) -> SharedWeightsParams:
        """One worker, which shares with nobody."""
        return p.model_copy(update={"workers": 1})
