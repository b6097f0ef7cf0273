"""Stage ``checkpoint``: the testbed's default model and what it answers, as data/checkpoint/.

The shipped file is taken if it was trained with the parameters of params/testbed.yaml; otherwise the model is trained here.
``python -m tasks.checkpoint --train`` trains in any case and says whether the shipped file comes out again;
``--ship`` does so and puts the result into the package.

The students of layer ``distillation`` come with it: the shipped ones if they learned from this very model. Others are taught
here only if params/stack.yaml names the layer, or with ``--students``; ``--ship-students`` puts those into the package.
The parts of layer ``pruning`` that were trained again likewise: ``--retrained``, ``--ship-retrained``.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks import stage_runner, testbed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger("deltastack.tasks")


def run(root: Path) -> None:
    """Copy or train, then ask the held-out questions."""
    testbed.one_thread()
    from deltastack.testbed import settings
    from deltastack.testbed.learning import bundled_checkpoint

    p = settings.load(root)
    if bundled_checkpoint.fits(bundled_checkpoint.FOLDER, p.trained):
        bundled_checkpoint.copy(bundled_checkpoint.FOLDER, root / "data" / "checkpoint")
        _tell(bundled_checkpoint.check(root, p))
    else:
        log.info("the shipped model was trained with other parameters: training here, some minutes on one thread")
        _train(root)
    for one in _derived(root):
        _bring(root, one)


class Derived(NamedTuple):
    """Weights that are made of the trained model, for a layer that is off by default."""

    what: str
    layer: str
    remedy: str
    misfit: str | None
    """Why the shipped ones are not this model's."""
    copy: Callable[[Path, Path], None]
    make: Callable[[Path], None]


def _derived(root: Path) -> tuple[Derived, ...]:
    """Students and retrained parts of the model in data/checkpoint."""
    from deltastack.testbed import settings
    from deltastack.testbed.learning import bundled_checkpoint, bundled_students, pruned_training
    from deltastack.testbed.vlm import models, pruned_files, student_files

    p, trained = settings.load(root), root / models.TRAINED
    unfit = (
        student_files.misfit(bundled_checkpoint.FOLDER, p.students, trained),
        pruned_files.misfit(bundled_checkpoint.FOLDER, p.retrained, trained),
    )
    return (
        Derived("students", bundled_students.LAYER, student_files.REMEDY, unfit[0], bundled_students.copy, teach),
        Derived("retrained parts", pruned_training.LAYER, pruned_files.REMEDY, unfit[1], pruned_training.copy, retrain),
    )


def _bring(root: Path, one: Derived) -> None:
    """The shipped ones if they are this model's; else made here where the stack has their layer, and left out elsewhere."""
    from deltastack.testbed.learning import bundled_checkpoint

    if one.misfit is None:
        one.copy(bundled_checkpoint.FOLDER, root / "data" / "checkpoint")
    elif one.layer in testbed.stack(root).layers:
        log.info("the shipped %s do not fit (%s): training here, some minutes on one thread", one.what, one.misfit)
        one.make(root)
    else:
        log.info("no %s of this model here (%s); layer %s would need them: %s", one.what, one.misfit, one.layer, one.remedy)


def retrain(root: Path) -> None:
    """Train pruned parts of the model in data/checkpoint again and say what they answer."""
    testbed.one_thread()
    from deltastack.testbed import settings
    from deltastack.testbed.learning import pruned_training

    known = pruned_training.retrain(root, settings.load(root), log.info)
    for name, one in known["parts"].items():
        right = ", ".join(f"{words} {one[how]['change']:+.2%}" for how, words in _HOW.items())
        log.info(
            "%s, %.0f %% kept, against the full model: %s; %.0f s of processor time", name, 100 * one["kept"], right, one["cpu_s"]
        )


_HOW = {"cut": "cut alone", "trained_again": "trained again", "full_trained_as_long": "nothing cut and trained as long"}


def ship_retrained(root: Path) -> None:
    """Train again, and put the file into the package."""
    retrain(root)
    from deltastack.testbed.learning import bundled_checkpoint, pruned_training

    pruned_training.copy(root / "data" / "checkpoint", bundled_checkpoint.FOLDER)


def teach(root: Path) -> None:
    """Teach students of the model in data/checkpoint, say what they kept, and compare with the shipped ones."""
    testbed.one_thread()
    from deltastack.testbed import settings
    from deltastack.testbed.learning import bundled_checkpoint, bundled_students
    from deltastack.testbed.vlm import student_files

    known = bundled_students.teach(root, settings.load(root), log.info)
    for how, one in known["students"].items():
        kept = {kind: f"{accuracy['all']:.2%}" for kind, accuracy in one["accuracy"].items()}
        log.info("%s: image %s, text %s, %.0f s of processor time", how, kept["image"], kept["text"], one["cpu_s"])
        before = student_files.card(bundled_checkpoint.FOLDER).get("students", {}).get(how, {}).get("sha256")
        same = "the same bytes as" if one["sha256"] == before else "other bytes than"
        log.info("%s: %s when the shipped students were taught (sha256 %s)", how, same, one["sha256"][:12])


def ship_students(root: Path) -> None:
    """Teach, and put the files into the package."""
    teach(root)
    from deltastack.testbed.learning import bundled_checkpoint, bundled_students

    bundled_students.copy(root / "data" / "checkpoint", bundled_checkpoint.FOLDER)


def train(root: Path) -> None:
    """Train the model, its students and its retrained parts, check, and compare with the shipped file."""
    _train(root)
    teach(root)
    retrain(root)


def _train(root: Path) -> None:
    testbed.one_thread()
    from deltastack.testbed import settings
    from deltastack.testbed.learning import bundled_checkpoint, vlm_training

    p, folder = settings.load(root), root / "data" / "checkpoint"
    bundled_checkpoint.write(vlm_training.train(p.trained, log.info), p.trained, folder)
    known, before = bundled_checkpoint.check(root, p), bundled_checkpoint.card(bundled_checkpoint.FOLDER)
    _tell(known)
    if not before:
        log.info("no model ships with the package yet: nothing to compare with")
    elif known["sha256"] == before["sha256"]:
        log.info("the same bytes as the shipped file (sha256 %s)", known["sha256"][:12])
    else:
        there, here = before["trained_on"], known["trained_on"]
        differ = [f"{k}: {there.get(k)} there, {here[k]} here" for k in here if there.get(k) != here[k]]
        log.info("other bytes than the shipped file; hosts differ in: %s", "; ".join(differ) or "nothing that is recorded")


def ship(root: Path) -> None:
    """Train, check, and put the files into the package."""
    train(root)
    from deltastack.testbed.learning import bundled_checkpoint, bundled_students, pruned_training

    for copied in (bundled_checkpoint, bundled_students, pruned_training):
        copied.copy(root / "data" / "checkpoint", bundled_checkpoint.FOLDER)


def _tell(known: dict[str, Any]) -> None:
    accuracy = {k: f"{v['all']:.2%}" for k, v in known["accuracy"].items()}
    log.info(
        "%d weights; right on %d held-out questions each: image %s, text %s",
        known["parameters"],
        known["questions"],
        accuracy["image"],
        accuracy["text"],
    )


if __name__ == "__main__":
    modes = {"--train": train, "--ship": ship, "--students": teach, "--ship-students": ship_students, "--retrained": retrain}
    modes |= {"--ship-retrained": ship_retrained}
    if len(sys.argv) == 2 and sys.argv[1] in modes:  # noqa: PLR2004 - the one flag
        work = modes[sys.argv.pop(1)]
        stage_runner.main("checkpoint", work)
    stage_runner.main("checkpoint", run)
