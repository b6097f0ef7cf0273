"""Layer ``routing``: requests and tokens pass by the parts that they do not need. Off by default; the testbed alone observes it.

``early_exit`` lets a decoded token leave the decoder when the model is sure of it; ``part_skipping`` sends requests of one kind
past some layers. (That text does not need the encoder is ``encoder_skip`` of the layer ``idle``.) On the fleet there is no such
cell: no figure was found of how often its models are sure of a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.layers.measurement import Exactness, Measurement
from deltastack.layers.technique import Layer, Technique
from deltastack.testbed.switches import settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.testbed.vlm.engine import Engine


class EarlyExit(Technique[settings.EarlyExit]):
    """Tokens that the model is sure of leave early."""

    name = "early_exit"
    params = settings.EarlyExit
    measurement = Measurement(
        exactness=Exactness.APPROXIMATE,
        baseline="the full model: every token passes all layers, its head once",
        carries_over="a batch is through when its last row is: larger batches save less; the share of exits is the model's own",
        example={"after": 0.5, "confidence": 0, "exits": 0.5},
    )

    def switch(self, engine: Engine, p: settings.EarlyExit) -> AbstractContextManager[None] | None:
        """An exit after some of the decoder's layers."""
        from deltastack.testbed.switches.early_exit import early_exit

        return early_exit(engine, p)

    def control(self, p: settings.EarlyExit) -> settings.EarlyExit:
        """No exit before the last layer."""
        return p.model_copy(update={"after": 1.0})


class PartSkipping(Technique[settings.PartSkipping]):
    """Requests of one kind skip layers."""

    name = "part_skipping"
    params = settings.PartSkipping
    measurement = Measurement(
        exactness=Exactness.APPROXIMATE,
        baseline="the full model for every request",
        carries_over="layers saved are work and bytes of cache saved there alike, if requests of one kind are batched together",
        example={"kind": "text", "skipped": 0.5},
    )

    def switch(self, engine: Engine, p: settings.PartSkipping) -> AbstractContextManager[None] | None:
        """A way past the middle of the decoder."""
        from deltastack.testbed.switches.part_skipping import part_skipping

        return part_skipping(engine, p)

    def control(self, p: settings.PartSkipping) -> settings.PartSkipping:
        """No layer is skipped."""
        return p.model_copy(update={"skipped": 0.0})


ROUTING = Layer(name="routing", techniques=(EarlyExit(), PartSkipping()))
