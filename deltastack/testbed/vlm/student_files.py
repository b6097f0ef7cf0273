"""The trained model's students as files: which ones lie in a folder, whom they learned from, and how they are served.

A file holds the student's decoder in 16 bits, under the names of the layers that are left; everything else is the teacher's.
The card ``students.json`` holds the teacher's hash, the parameters of the lessons, and of each student its file's hash, its
curve, what it cost and what it answers.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from deltastack.errors import OutOfValidityError
from deltastack.testbed.vlm import model_card
from deltastack.testbed.vlm.students import Student, prefix, taken

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.testbed.settings import Distilled
    from deltastack.testbed.vlm.served_model import Host
    from deltastack.testbed.vlm.serving import Tensors
    from deltastack.testbed.vlm.students import Students

CARD = "students.json"
UNFIT = model_card.Unfit(
    absent="no student was taught yet",
    recipe="the students here were taught by other parameters than `students` in params/testbed.yaml",
    model="the students here learned from another model than data/checkpoint/trained.safetensors",
)
REMEDY = "`python -m tasks.checkpoint --students` teaches them here, some minutes on one thread"


def file(student: str) -> str:
    """The name of a student's file."""
    return f"{student}.safetensors"


def card(folder: Path) -> dict[str, Any]:
    """What is known of the students in ``folder``; empty where there are none."""
    return model_card.read(folder / CARD)


def recipe(p: Distilled) -> dict[str, Any]:
    """The parameters that the students' weights depend on, beside their teacher."""
    return p.model_dump(mode="json")


def misfit(folder: Path, p: Distilled, teacher: Path) -> str | None:
    """Why the students in ``folder`` are not those of ``teacher`` and ``p``; None where they are."""
    return model_card.misfit(card(folder), recipe=recipe(p), made_of="teacher", model=teacher, words=UNFIT)


def taught(teacher: Path, p: Distilled) -> Students:
    """The students beside the file of their teacher.

    A student that is asked for raises OutOfValidityError where there is none of this teacher and of these parameters, and
    EvidenceError where its file is not the one that the card speaks of.
    """
    folder = teacher.parent

    def student(technique: str, host: Host) -> Student:
        why = misfit(folder, p, teacher)
        if why:
            raise OutOfValidityError(f"not applicable: {technique} has no student of this model; {why}; {REMEDY}")
        known, path = card(folder), folder / file(technique)
        digest = model_card.checked(path, known["students"][technique]["sha256"], REMEDY)
        first = tuple(range(int(known["layers"])))
        weights = partial(_in_place, path=path, prefix=prefix(host), first=first)
        return Student(f"{technique}_{digest[:12]}", len(first), weights)

    return student


def _in_place(tensors: Tensors, *, path: Path, prefix: str, first: tuple[int, ...]) -> Tensors:
    """The student's tensors in the number format of the teacher's, and the teacher's where it has none of its own."""
    from safetensors.torch import load_file

    kept = taken(tensors, prefix, first)
    return kept | {name: w.to(kept[name].dtype) for name, w in load_file(path).items()}
