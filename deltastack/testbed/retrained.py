"""Pruned parts of the trained model that were trained again, as a file: which lie in a folder, and how they are served.

The file holds, in 16 bits, the attention of all decoder layers with part of its heads, and their feed-forward blocks with part of
the channels (shares in params). Each part was trained alone, everything else held still, so the two can be served together:
no tensor belongs to both. The card ``retrained.json`` holds the trained model's hash, the parameters, and of each part its curve,
what it cost and what it answers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltastack.errors import EvidenceError, OutOfValidityError
from deltastack.workload.settings import sha256

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.testbed.serving import Tensors
    from deltastack.testbed.settings import Retrained

FILE, CARD = "retrained.safetensors", "retrained.json"
TECHNIQUES = ("head_pruning", "weight_pruning")
REMEDY = "`python -m tasks.checkpoint --retrained` trains them here, some minutes on one thread"
BLOCK = {"head_pruning": ".self_attn.", "weight_pruning": ".mlp."}
"""What the names of a technique's tensors have in them."""


def card(folder: Path) -> dict[str, Any]:
    """What is known of the parts in ``folder``; empty where there are none."""
    path = folder / CARD
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def recipe(p: Retrained) -> dict[str, Any]:
    """The parameters that the parts' weights depend on, beside the trained model."""
    return p.model_dump(mode="json")


def misfit(folder: Path, p: Retrained, trained: Path) -> str | None:
    """Why the parts in ``folder`` are not those of the model in ``trained`` and of ``p``; None where they are."""
    known = card(folder)
    if not known:
        return "no pruned part was trained again yet"
    if known["recipe"] != recipe(p):
        return "those here were trained by other parameters than `retrained` in params/testbed.yaml"
    if not trained.is_file() or known["trained"] != sha256(trained):
        return "those here belong to another model than data/checkpoint/trained.safetensors"
    return None


def checked(path: Path, want: str) -> str:
    """The file's hash.

    Raises:
        EvidenceError: It is not ``want``, or there is no file.
    """
    have = sha256(path) if path.is_file() else "none: no such file"
    if have != want:
        raise EvidenceError(f"{path.name} has hash {have[:18]}, its card says {want[:18]}: {REMEDY}")
    return have


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
        return f"retrained_{checked(folder / FILE, card(folder)['sha256'])[:12]}"

    def put(self, tensors: Tensors, technique: str) -> Tensors:
        """The tensors with the technique's part as it was trained again, in the number format of those it replaces."""
        from safetensors.torch import load_file

        again = {k: w for k, w in load_file(self.trained.with_name(FILE)).items() if BLOCK[technique] in k}
        return tensors | {k: w.to(tensors[k].dtype) for k, w in again.items()}
