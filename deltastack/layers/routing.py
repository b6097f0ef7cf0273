"""Layer ``routing``: requests and tokens pass by the parts that they do not need. Off by default; the testbed alone observes it.

``early_exit`` lets a decoded token leave the decoder when the model is sure of it; ``part_skipping`` sends requests of one kind
past some layers. (That text does not need the encoder is ``encoder_skip`` of the layer ``idle``.) On the fleet there is no such
cell: no figure was found of how often its models are sure of a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltastack.layers.technique import Layer
from deltastack.layers.techniques import TestbedOnly
from deltastack.testbed import switches
from deltastack.testbed.switches import settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.testbed.vlm.engine import Engine


@dataclass(frozen=True, slots=True)
class EarlyExit(TestbedOnly[settings.EarlyExit]):
    """Tokens that the model is sure of leave early."""

    name: str = "early_exit"
    params: type[settings.EarlyExit] = settings.EarlyExit

    def switch(self, engine: Engine, p: settings.EarlyExit) -> AbstractContextManager[None] | None:
        """An exit after some of the decoder's layers."""
        return switches.on(self.name, engine, p)

    def control(self, p: settings.EarlyExit) -> settings.EarlyExit:
        """No exit before the last layer."""
        return p.model_copy(update={"after": 1.0})


@dataclass(frozen=True, slots=True)
class PartSkipping(TestbedOnly[settings.PartSkipping]):
    """Requests of one kind skip layers."""

    name: str = "part_skipping"
    params: type[settings.PartSkipping] = settings.PartSkipping

    def switch(self, engine: Engine, p: settings.PartSkipping) -> AbstractContextManager[None] | None:
        """A way past the middle of the decoder."""
        return switches.on(self.name, engine, p)

    def control(self, p: settings.PartSkipping) -> settings.PartSkipping:
        """No layer is skipped."""
        return p.model_copy(update={"skipped": 0.0})


ROUTING = Layer(name="routing", techniques=(EarlyExit(), PartSkipping()))
