"""A distilled student in the model's place: fewer decoder layers, taught by the served model.

The engine stores, loads and runs the student's tensors and layers; encoder, projector and head are the teacher's. Every other
technique finds the student where it would have found the model. One student is served at a time.

Of a model with random weights the student is as random: its resources are real, and its answers say nothing. What
distillation costs in quality is said by the trained model alone.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.testbed.switches.settings import Distillation
    from deltastack.testbed.vlm.engine import Engine


def logit_student(engine: Engine, p: Distillation) -> AbstractContextManager[None]:
    """Serve the student of the teacher's logits.

    Raises:
        OutOfValidityError: This model has no such student, or another one is served.
        EvidenceError: The student's file is not the one that its card speaks of.
    """
    return _serving(engine, p, "logit_student")


def attention_student(engine: Engine, p: Distillation) -> AbstractContextManager[None]:
    """Serve the student of the teacher's logits and attention.

    Raises:
        OutOfValidityError: This model has no such student, or another one is served.
        EvidenceError: The student's file is not the one that its card speaks of.
    """
    return _serving(engine, p, "attention_student")


def _serving(engine: Engine, p: Distillation, technique: str) -> AbstractContextManager[None]:
    if p.served == "teacher":
        return contextlib.nullcontext()
    return engine.override("student", engine.student_provider(technique, engine.host), by=technique)
