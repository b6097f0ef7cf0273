"""Pruned parts of the trained model that were trained again, as a file: which lie in a folder, and how they are served.

The file holds, in 16 bits, the attention of all decoder layers with part of its heads, and their feed-forward blocks with part of
the channels (shares in params). Each part was trained alone, everything else held still, so the two can be served together:
no tensor belongs to both. The card ``retrained.json`` holds the trained model's hash, the parameters, and of each part its curve,
what it cost and what it answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltastack.errors import OutOfValidityError
from deltastack.testbed.vlm import model_card

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.testbed.settings import Retrained
    from deltastack.testbed.vlm.serving import Tensors

FILE, CARD = "retrained.safetensors", "retrained.json"
REMEDY = "`python -m tasks.checkpoint --retrained` trains them here, some minutes on one thread"
UNFIT = model_card.Unfit(
    absent="no pruned part was trained again yet",
    recipe="those here were trained by other parameters than `retrained` in params/testbed.yaml",
    model="those here belong to another model than data/checkpoint/trained.safetensors",
)
BLOCK = {"head_pruning": ".self_attn.", "weight_pruning": ".mlp."}
"""What the names of a technique's tensors have in them."""


def card(folder: Path) -> dict[str, Any]:
    """What is known of the parts in ``folder``; empty where there are none."""
    return model_card.read(folder / CARD)


def recipe(p: Retrained) -> dict[str, Any]:
    """The parameters that the parts' weights depend on, beside the trained model."""
    return p.model_dump(mode="json")


def misfit(folder: Path, p: Retrained, trained: Path) -> str | None:
    """Why the parts in ``folder`` are not those of the model in ``trained`` and of ``p``; None where they are."""
    return model_card.misfit(card(folder), recipe=recipe(p), made_of="trained", model=trained, words=UNFIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The retrained parts beside the trained model's file."""

    trained: Path
    p: Retrained

    def mark(self, technique: str, kept: float) -> str:
        """A word that tells these weights from others of the same shape.

        Raises:
            OutOfValidityError: Nothing was trained again with that share kept, or not of this model.
            EvidenceError: A file that is not the one its card speaks of.
        """
        there = self.p.of(technique).kept
        if kept != there:
            raise OutOfValidityError(
                f"not applicable: {technique} was trained again with {there:g} kept, not with {kept:g}; "
                f"retrained.{technique}.kept in params/testbed.yaml says with how much, and {REMEDY}"
            )
        folder = self.trained.parent
        why = misfit(folder, self.p, self.trained)
        if why:
            raise OutOfValidityError(f"not applicable: {technique} has no weights that were trained again; {why}; {REMEDY}")
        return f"retrained_{model_card.checked(folder / FILE, card(folder)['sha256'], REMEDY)[:12]}"

    def put(self, tensors: Tensors, technique: str) -> Tensors:
        """The tensors with the technique's part as it was trained again, in the number format of those it replaces."""
        from safetensors.torch import load_file

        again = {k: w for k, w in load_file(self.trained.with_name(FILE)).items() if BLOCK[technique] in k}
        return tensors | {k: w.to(tensors[k].dtype) for k, w in again.items()}
