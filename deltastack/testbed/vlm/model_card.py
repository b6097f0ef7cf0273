"""The card beside a file of weights: JSON that says which bytes it speaks of, how they were made, and what they answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from deltastack.contracts import atomic
from deltastack.errors import EvidenceError
from deltastack.workload.settings import sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class Unfit(NamedTuple):
    """Why files are not those that are wanted, in the words of their room."""

    absent: str
    recipe: str
    model: str


def read(path: Path) -> dict[str, Any]:
    """What is known; empty where there is no card."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def write(path: Path, known: Mapping[str, Any]) -> None:
    """Replace the card."""
    with atomic(path) as part:
        part.write_text(json.dumps(known, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def copy(source: Path, target: Path, names: Iterable[str]) -> None:
    """Files of one folder into another, byte for byte."""
    for name in names:
        with atomic(target / name) as part:
            part.write_bytes((source / name).read_bytes())


def checked(path: Path, want: str, remedy: str) -> str:
    """The file's hash.

    Raises:
        EvidenceError: It is not ``want``, or there is no file.
    """
    have = sha256(path) if path.is_file() else "none: no such file"
    if have != want:
        raise EvidenceError(f"{path.name} has hash {have[:18]}, its card says {want[:18]}: {remedy}")
    return have


def misfit(known: Mapping[str, Any], *, recipe: Mapping[str, Any], made_of: str, model: Path, words: Unfit) -> str | None:
    """Why a card does not speak of weights made by ``recipe`` of the file ``model``; None where it does.

    Args:
        known: The card, empty where there is none.
        recipe: The parameters that the weights depend on.
        made_of: The card's key of the hash of the model that they were made of.
        model: That model's file.
        words: What is said.
    """
    if not known:
        return words.absent
    if known["recipe"] != recipe:
        return words.recipe
    return None if model.is_file() and known[made_of] == sha256(model) else words.model
