"""Layers and techniques of the accelerator bench: what each changes in a session, how exact it is, and its baseline.

A mechanism is what two layers share: both lanes need micro-batches, and each micro-batch reads the weights again. It is a switch
of its own, measured alone, so that ``composition.by_mechanism`` can count it once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from deltastack.accelerator.settings import Arithmetic, Switched
from deltastack.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Technique:
    """One technique as fields of ``Switched``."""

    layer: str
    sets: Mapping[str, Any]
    exactness: str
    """``token`` (the same tokens but for rounding) or ``approximate`` (other numbers; agreement is measured)."""
    baseline: str
    """What it is held against, in words."""
    mechanisms: tuple[str, ...] = ()
    on: bool = False
    """Whether it stands for its layer in the factorial."""


_BASE = "the same server without it"
_GRAPH = "a server with one fixed graph, which runs the encoder on a blank image for every text request"
TECHNIQUES: Mapping[str, Technique] = {
    "kv_restore": Technique(layer="storage", sets={"restored": True}, exactness="token", baseline=_BASE, on=True),
    "image_embeddings": Technique(layer="storage", sets={"kept_images": True}, exactness="token", baseline=_BASE),
    "layer_placement": Technique(
        layer="chiplet", sets={"placed": True}, exactness="token", baseline=_BASE, mechanisms=("micro_batches",), on=True
    ),
    "attention_ffn": Technique(
        layer="pipeline", sets={"apart": True}, exactness="token", baseline=_BASE, mechanisms=("micro_batches",), on=True
    ),
    "fp8_tensor": Technique(
        layer="instruction_set", sets={"arithmetic": Arithmetic.FP8_TENSOR}, exactness="approximate", baseline=_BASE, on=True
    ),
    "fp8_row": Technique(
        layer="instruction_set", sets={"arithmetic": Arithmetic.FP8_ROW}, exactness="approximate", baseline=_BASE
    ),
    "int8": Technique(layer="instruction_set", sets={"arithmetic": Arithmetic.INT8}, exactness="approximate", baseline=_BASE),
    "sparse_24": Technique(
        layer="instruction_set", sets={"arithmetic": Arithmetic.SPARSE_24}, exactness="approximate", baseline=_BASE
    ),
    "encoder_skip": Technique(layer="idle", sets={"skip": True}, exactness="token", baseline=_GRAPH, on=True),
}
MECHANISMS: Mapping[str, Mapping[str, Any]] = {"micro_batches": {"micro_batches": 2}}
LAYERS = ("storage", "chiplet", "pipeline", "instruction_set", "idle")


def layer_cell(layers: Iterable[str]) -> Switched:
    """What is on where these layers are, by the technique that stands for each."""
    chosen = set(layers)
    found = Switched()
    for technique in TECHNIQUES.values():
        if technique.on and technique.layer in chosen:
            found = replace(found, **technique.sets)
    return found


def alone(cell: str) -> Switched:
    """What is on in ``LAYER/TECHNIQUE`` or ``mechanism/NAME``.

    Raises:
        UnknownNameError: No such technique or mechanism.
    """
    kind, _, name = cell.partition("/")
    if kind == "mechanism" and name in MECHANISMS:
        return replace(Switched(), **MECHANISMS[name])
    technique = TECHNIQUES.get(name)
    if technique is None or technique.layer != kind:
        there = ", ".join([f"{t.layer}/{n}" for n, t in TECHNIQUES.items()] + [f"mechanism/{m}" for m in MECHANISMS])
        raise UnknownNameError(f"no cell '{cell}' on the accelerator; there are: {there}")
    return replace(Switched(), **technique.sets)


def sharing(mechanism: str) -> list[str]:
    """The layers whose techniques in the factorial use a mechanism."""
    return [t.layer for t in TECHNIQUES.values() if t.on and mechanism in t.mechanisms]
