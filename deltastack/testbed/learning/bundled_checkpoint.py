"""The default model's file: how it is written, what it is known to answer, and the copy that ships with the package.

The card beside the file holds its hash, the parameters it was trained with, the training curve, versions, and accuracy by
kind of request and question on held-out grids. A checkout with the same parameters takes the shipped copy; one with others
trains its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltastack import machine_fingerprint
from deltastack.contracts import atomic
from deltastack.errors import EvidenceError
from deltastack.testbed.quality_eval import answer
from deltastack.testbed.vlm import digits, model_card, models
from deltastack.workload.settings import sha256

if TYPE_CHECKING:
    from deltastack.testbed.learning.vlm_training import Training
    from deltastack.testbed.settings import Testbed, Trained

FOLDER = Path(__file__).parents[1] / "checkpoints"
FILE, CARD = "trained.safetensors", "trained.json"
_NOT_TRAINING = {"held_out", "least_accuracy"}


def recipe(p: Trained) -> dict[str, Any]:
    """The parameters that the weights depend on."""
    return p.model_dump(mode="json", exclude=_NOT_TRAINING)


def card(folder: Path) -> dict[str, Any]:
    """What is known of the file in ``folder``; empty where there is none."""
    return model_card.read(folder / CARD)


def fits(folder: Path, p: Trained) -> bool:
    """Whether the file in ``folder`` was trained with ``p``."""
    return card(folder).get("recipe") == recipe(p)


def write(training: Training, p: Trained, folder: Path) -> None:
    """Write weights and card; accuracy is added by ``check``.

    The file holds each tensor once, in float32, in the order of the names: the same weights give the same bytes.
    """
    from safetensors.torch import save_file

    tensors = {k: w.detach().float().contiguous() for k, w in sorted(training.model.named_parameters())}
    with atomic(folder / FILE) as part:
        save_file(tensors, part)
    known = {
        "sha256": sha256(folder / FILE),
        "parameters": sum(w.numel() for w in tensors.values()),
        "recipe": recipe(p),
        "cpu_s": round(training.cpu_s, 1),
        "trained_on": machine_fingerprint.describe(),
        "curve": [list(point) for point in training.curve],
        "data": "scikit-learn digits: 1,437 scans to train on, 360 held out",
    }
    model_card.write(folder / CARD, known)


def copy(source: Path, target: Path) -> None:
    """The file and its card as they are.

    Raises:
        EvidenceError: The file is not the one that the card speaks of.
    """
    model_card.checked(source / FILE, card(source)["sha256"], "install the package again")
    model_card.copy(source, target, (FILE, CARD))


def check(root: Path, p: Testbed) -> dict[str, Any]:
    """Ask the model in data/checkpoint its held-out questions and write the accuracy into its card.

    Raises:
        EvidenceError: Less than ``trained.least_accuracy`` on image or on text requests.
    """
    folder = (root / models.TRAINED).parent
    some = digits.examples(p.trained.held_out, p.trained.seed, held_out=True)
    right = answer(models.engine(root, p, "trained"), some).right
    accuracy = {
        kind: {"all": float(r.mean())} | {q: float(r[some.kinds == n].mean()) for n, q in enumerate(digits.QUESTIONS)}
        for kind, r in right.items()
    }
    known = card(folder) | {"questions": p.trained.held_out, "accuracy": accuracy}
    model_card.write(folder / CARD, known)
    low = {k: a["all"] for k, a in accuracy.items() if a["all"] < p.trained.least_accuracy}
    if low:
        found = ", ".join(f"{k} {a:.1%}" for k, a in low.items())
        raise EvidenceError(
            f"the trained model answers too few held-out questions: {found}; wanted {p.trained.least_accuracy:.0%}"
        )
    return known
