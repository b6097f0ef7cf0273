"""Layer ``distillation``: a smaller model, taught by the one that is served, answers in its place.

Two students of one shape: ``logit_student`` learned from the teacher's distributions, ``attention_student`` from what the
teacher attends to as well. The student of the same shape that learned from answers alone stands beside them in
data/checkpoint/students.json: what it can do as well is not distillation's.

The fleet has no operator times of a student of the served model, so that there is nothing to rewrite there: a cell that is
absent, not zero. Off unless params/stack.yaml names the layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.layers.measurement import Exactness, Measurement
from deltastack.layers.technique import Layer, Technique
from deltastack.testbed.switches.settings import Distillation

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.testbed.vlm.engine import Engine


class _Distilled(Technique[Distillation]):
    """A student in the model's place."""

    params = Distillation
    measurement = Measurement(
        exactness=Exactness.APPROXIMATE,
        baseline="the teacher in its full depth; what a student of this shape learns without a teacher stands in students.json",
        carries_over="the share of layers, bytes and operations holds; what is kept of the answers is this task's",
        example={"served": "student"},
        rivals=("logit_student", "attention_student"),
    )

    def control(self, p: Distillation) -> Distillation:
        """The teacher itself."""
        return p.model_copy(update={"served": "teacher"})


class LogitStudent(_Distilled):
    """Taught by the teacher's distributions."""

    name = "logit_student"

    def switch(self, engine: Engine, p: Distillation) -> AbstractContextManager[None] | None:
        """The student's weights and layers are served."""
        from deltastack.testbed.switches.distillation import logit_student

        return logit_student(engine, p)


class AttentionStudent(_Distilled):
    """Taught by what the teacher attends to as well."""

    name = "attention_student"

    def switch(self, engine: Engine, p: Distillation) -> AbstractContextManager[None] | None:
        """The student's weights and layers are served."""
        from deltastack.testbed.switches.distillation import attention_student

        return attention_student(engine, p)


DISTILLATION = Layer(name="distillation", techniques=(LogitStudent(), AttentionStudent()))
