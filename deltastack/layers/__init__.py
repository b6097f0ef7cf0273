"""The optimization layers: one file each, one row each in LAYERS.

Which of them are stacked is said by ``layers`` in params/stack.yaml; those after ``idle`` are not, by default (decision 0009).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.errors import UnknownNameError
from deltastack.layers.chiplet import CHIPLET
from deltastack.layers.distillation import DISTILLATION
from deltastack.layers.idle import IDLE
from deltastack.layers.instruction_set import INSTRUCTION_SET
from deltastack.layers.pipeline import PIPELINE
from deltastack.layers.pruning import PRUNING
from deltastack.layers.routing import ROUTING
from deltastack.layers.storage import STORAGE

if TYPE_CHECKING:
    from deltastack.layers.technique import Layer

LAYERS: dict[str, Layer] = {
    one.name: one
    for one in (
        STORAGE,
        CHIPLET,
        PIPELINE,
        INSTRUCTION_SET,
        IDLE,
        PRUNING,
        ROUTING,
        DISTILLATION,
    )
}


def layer(name: str) -> Layer:
    """The layer of that name.

    Raises:
        UnknownNameError: There is none; the message lists what there is.
    """
    if name not in LAYERS:
        raise UnknownNameError(f"no layer '{name}'; there are: {', '.join(LAYERS) or 'none'}")
    return LAYERS[name]
