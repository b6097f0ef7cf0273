"""Layer ``distillation``: a smaller model, taught by the one that is served, answers in its place.

Two students of one shape: ``logit_student`` learned from the teacher's distributions, ``attention_student`` from what the
teacher attends to as well. The student of the same shape that learned from answers alone stands beside them in
data/checkpoint/students.json: what it can do as well is not distillation's.

The fleet has no operator times of a student of the served model, so that there is nothing to rewrite there: a cell that is
absent, not zero. Off unless params/stack.yaml names the layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltastack.layers.technique import Layer
from deltastack.layers.techniques import TestbedOnly
from deltastack.testbed import switches
from deltastack.testbed.switches.settings import Distillation

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.testbed.vlm.engine import Engine


@dataclass(frozen=True, slots=True)
class Distilled(TestbedOnly[Distillation]):
    """A student in the model's place."""

    name: str
    params: type[Distillation] = Distillation

    def switch(self, engine: Engine, p: Distillation) -> AbstractContextManager[None] | None:
        """The student's weights and layers are served."""
        return switches.on(self.name, engine, p)

    def control(self, p: Distillation) -> Distillation:
        """The teacher itself."""
        return p.model_copy(update={"served": "teacher"})


DISTILLATION = Layer(name="distillation", techniques=(Distilled("logit_student"), Distilled("attention_student")))
