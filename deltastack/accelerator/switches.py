"""Layers and techniques of the accelerator bench: what each changes in a session, how exact it is, and its baseline.

A mechanism is what two layers share: both lanes need micro-batches, and each micro-batch reads the weights again. It is a switch
of its own, measured alone, so that ``composition.by_mechanism`` can count it once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from deltastack.accelerator.settings import Arithmetic, Attention, Beside, Switched
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

    control: str | None = None
    """Another technique of the layer that it is also held against."""


_BASE = "the same server without it"
_GRAPH = "a server with one fixed graph, which runs the encoder on a blank image for every text request"
_KERNEL = "the same kernel with the usual softmax and bf16 keys (compiled_attention), and the library's kernel"
_SHARED = ("micro_batches",)


def _technique(layer: str, exactness: str, baseline: str = _BASE, **sets: Any) -> Technique:
    own = {name: sets.pop(name) for name in ("on", "mechanisms", "control") if name in sets}
    return Technique(layer=layer, exactness=exactness, baseline=baseline, sets=sets, **own)


_STORAGE = {
    "kv_restore": _technique("storage", "token", restored=True, on=True),
    "kv_file": _technique("storage", "token", restored=True, from_file=True, control="kv_restore"),
    "image_embeddings": _technique("storage", "token", kept_images=True),
}
_CHIPLET = {
    "layer_placement": _technique("chiplet", "token", placed=True, mechanisms=_SHARED, on=True),
    "layer_placement_whole": _technique("chiplet", "token", placed=True, whole=True),
    "layer_placement_sm": _technique(
        "chiplet", "token", placed=True, partitioned=True, mechanisms=_SHARED, control="layer_placement"
    ),
}
_PIPELINE = {
    "attention_ffn": _technique("pipeline", "token", apart=True, mechanisms=_SHARED, on=True),
    "attention_ffn_whole": _technique("pipeline", "token", apart=True, whole=True),
    "attention_ffn_sm": _technique(
        "pipeline", "token", apart=True, partitioned=True, mechanisms=_SHARED, control="attention_ffn"
    ),
    "encoder_beside": _technique("pipeline", "token", beside=Beside.ENCODER),
    "encoder_beside_sm": _technique("pipeline", "token", beside=Beside.ENCODER, partitioned=True, control="encoder_beside"),
    "prefill_beside": _technique("pipeline", "token", beside=Beside.PREFILL),
    "prefill_beside_sm": _technique("pipeline", "token", beside=Beside.PREFILL, partitioned=True, control="prefill_beside"),
}
_INSTRUCTIONS = {
    "fp8_tensor": _technique("instruction_set", "approximate", arithmetic=Arithmetic.FP8_TENSOR, on=True),
    "fp8_row": _technique("instruction_set", "approximate", arithmetic=Arithmetic.FP8_ROW),
    "int8": _technique("instruction_set", "approximate", arithmetic=Arithmetic.INT8),
    "sparse_24": _technique("instruction_set", "approximate", arithmetic=Arithmetic.SPARSE_24),
    "sparse_24_fp8": _technique("instruction_set", "approximate", arithmetic=Arithmetic.SPARSE_FP8, control="fp8_tensor"),
    "compiled_attention": _technique("instruction_set", "token", attention=Attention.COMPILED),
    "softmax_no_maximum": _technique(
        "instruction_set", "token", _KERNEL, attention=Attention.NO_MAXIMUM, control="compiled_attention"
    ),
    "kv_fp8": _technique(
        "instruction_set", "approximate", _KERNEL, attention=Attention.COMPILED, kv8=True, control="compiled_attention"
    ),
}
_IDLE = {
    "encoder_skip": _technique("idle", "token", _GRAPH, skip=True, on=True),
    "encoder_given_back": _technique("idle", "token", given_back=True),
}
TECHNIQUES: Mapping[str, Technique] = {**_STORAGE, **_CHIPLET, **_PIPELINE, **_INSTRUCTIONS, **_IDLE}
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


def against(layer: str) -> dict[str, tuple[str, str]]:
    """Further rows of a layer: each technique that has a control, held against it; by ``TECHNIQUE@CONTROL``."""
    return {
        f"{name}@{t.control}": (cell(t.control), cell(name))
        for name, t in TECHNIQUES.items()
        if t.layer == layer and t.control is not None
    }


def cell(technique: str) -> str:
    """The cell in which a technique is on alone: its layer's where it stands for it."""
    t = TECHNIQUES[technique]
    return t.layer if t.on else f"{t.layer}/{technique}"


def sharing(mechanism: str) -> list[str]:
    """The layers whose techniques in the factorial use a mechanism."""
    return [t.layer for t in TECHNIQUES.values() if t.on and mechanism in t.mechanisms]
