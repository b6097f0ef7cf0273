"""The students' files: how they are taught and written, what they are known to answer, and the copies that ship.

The student that learned from answers alone is taught and asked as well, since without it distillation would be credited with
what a smaller model does by itself; its answers stand in the card, its file does not ship.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from deltastack import machine_fingerprint
from deltastack.contracts import atomic
from deltastack.testbed import quality
from deltastack.testbed.learning import distillation
from deltastack.testbed.quality_eval import answer
from deltastack.testbed.vlm import digits, model_card, models, student_files
from deltastack.workload.settings import sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from deltastack.testbed.learning.distillation import Graduate, How
    from deltastack.testbed.settings import Testbed
    from deltastack.testbed.vlm.digits import Examples
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Kind

    Right = Mapping[Kind, NDArray[np.bool_]]

LAYER = "distillation"
ALL: tuple[How, ...] = (distillation.HARD, *distillation.TAUGHT)
"""In the order in which they are taught."""


def copy(source: Path, target: Path) -> None:
    """The files and their card as they are.

    Raises:
        EvidenceError: A file is not the one that the card speaks of.
    """
    known = student_files.card(source)["students"]
    for how in distillation.TAUGHT:
        model_card.checked(source / student_files.file(how), known[how]["sha256"], student_files.REMEDY)
    model_card.copy(source, target, (*map(student_files.file, distillation.TAUGHT), student_files.CARD))


def teach(root: Path, p: Testbed, say: Callable[[str], None]) -> dict[str, Any]:
    """Teach all three students of the model in data/checkpoint, ask them its held-out questions, and write files and card."""
    path = root / models.TRAINED
    teacher = models.filled(p, models.read_weights(path), str(path))
    graduates = {how: distillation.teach(teacher, p, how, say) for how in ALL}
    write(graduates, p, path)
    known = check(root, p)
    (path.parent / student_files.file(distillation.HARD)).unlink()
    return known


def write(graduates: Mapping[How, Graduate], p: Testbed, teacher: Path) -> None:
    """Write weights and card beside the teacher's file; what they answer is added by ``check``.

    A file holds each tensor once, in float16, in the order of the names: the same weights give the same bytes.
    """
    from safetensors.torch import save_file

    known: dict[str, Any] = {}
    for how, one in graduates.items():
        tensors = {k: w.half().contiguous() for k, w in sorted(one.tensors.items())}
        path = teacher.with_name(student_files.file(how))
        with atomic(path) as part:
            save_file(tensors, part)
        known[how] = {
            "sha256": sha256(path),
            "weights_of_its_own": sum(w.numel() for w in tensors.values()),
            "cpu_s": round(one.cpu_s, 1),
            "curve": [list(point) for point in one.curve],
        }
    words = {
        "teacher": sha256(teacher),
        "recipe": student_files.recipe(p.students),
        "layers": len(distillation.places(p)),
        "layers_of_the_teacher": p.trained.shape.layers,
        "taught_on": machine_fingerprint.describe(),
        "students": known,
    }
    model_card.write(teacher.with_name(student_files.CARD), words)


def check(root: Path, p: Testbed) -> dict[str, Any]:
    """Ask every student in data/checkpoint the held-out questions, and write into the card what they answer.

    Beside each student's accuracy stands the paired difference to its teacher and to the student of answers alone.
    """
    folder = (root / models.TRAINED).parent
    some = digits.examples(p.trained.held_out, p.trained.seed, held_out=True)
    engine = models.engine(root, p, "trained")
    right = {how: _right(engine, how, some) for how in ALL}
    teacher = answer(engine, some).right
    known = student_files.card(folder) | {"questions": p.trained.held_out, "accuracy_of_the_teacher": _accuracy(teacher, some)}
    for how in ALL:
        known["students"][how] |= {
            "accuracy": _accuracy(right[how], some),
            "against_the_teacher": _change(teacher, right[how]),
            "against_hard_student": _change(right[distillation.HARD], right[how]),
        }
    model_card.write(folder / student_files.CARD, known)
    return known


def _right(engine: Engine, how: How, some: Examples) -> Right:
    with engine.override("student", engine.student_provider(how, engine.host), by=how):
        return answer(engine, some).right


def _accuracy(right: Right, some: Examples) -> dict[str, dict[str, float]]:
    """By kind of request: of all questions, and of each kind of question."""
    return {
        kind: {"all": float(r.mean())} | {q: float(r[some.kinds == n].mean()) for n, q in enumerate(digits.QUESTIONS)}
        for kind, r in right.items()
    }


def _change(before: Right, after: Right) -> dict[str, float]:
    """Paired change of accuracy over both kinds of request, with its 95 % interval."""
    change = quality.accuracy_change(*(np.concatenate([r[kind] for kind in before]) for r in (before, after)))
    return {"change": change.change, "low": change.low, "high": change.high}
