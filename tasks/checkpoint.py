"""Stage ``checkpoint``: the testbed's default model and what it answers, as data/checkpoint/.

The shipped file is taken if it was trained with the parameters of params/testbed.yaml; otherwise the model is trained here.
``python -m tasks.checkpoint --train`` trains in any case and says whether the shipped file comes out again;
``--ship`` does so and puts the result into the package.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from tasks import entry, testbed

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("deltastack.tasks")


def run(root: Path) -> None:
    """Copy or train, then ask the held-out questions."""
    testbed.one_thread()
    from deltastack.testbed import settings, shipped

    p = settings.load(root)
    if shipped.fits(shipped.FOLDER, p.trained):
        shipped.copy(shipped.FOLDER, root / "data" / "checkpoint")
        _tell(shipped.check(root, p))
    else:
        log.info("the shipped model was trained with other parameters: training here, some minutes on one thread")
        train(root)


def train(root: Path) -> None:
    """Train, check, and compare with the shipped file."""
    testbed.one_thread()
    from deltastack.testbed import settings, shipped, training

    p, folder = settings.load(root), root / "data" / "checkpoint"
    shipped.write(training.train(p.trained, log.info), p.trained, folder)
    known, before = shipped.check(root, p), shipped.card(shipped.FOLDER)
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
    """Train, check, and put the file into the package."""
    train(root)
    from deltastack.testbed import shipped

    shipped.copy(root / "data" / "checkpoint", shipped.FOLDER)


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
    modes = {"--train": train, "--ship": ship}
    if len(sys.argv) == 2 and sys.argv[1] in modes:  # noqa: PLR2004 - the one flag
        work = modes[sys.argv.pop(1)]
        entry.main("checkpoint", work)
    entry.main("checkpoint", run)
