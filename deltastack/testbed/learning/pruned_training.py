"""How a pruned part of the trained model is trained again, written, and asked.

The least important units are cut out, and the rest of the part (attention, or feed-forward, of every decoder layer) learns by the
language stage while everything else is held still. Beside it the part of the full model is trained just as long: without that,
pruning would be credited with what more training does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deltastack import machine_fingerprint
from deltastack.contracts import atomic
from deltastack.testbed import quality
from deltastack.testbed.learning import vlm_training
from deltastack.testbed.quality_eval import answer
from deltastack.testbed.switches import prune_weights, pruning
from deltastack.testbed.switches.settings import Pruning
from deltastack.testbed.vlm import digits, model_card, models, pruned_files
from deltastack.testbed.vlm.families import wrap
from deltastack.workload.settings import sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from deltastack.testbed.settings import Testbed
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Kind
    from deltastack.testbed.vlm.serving import Tensors

    Right = Mapping[Kind, NDArray[np.bool_]]

LAYER = "pruning"


class Again(NamedTuple):
    """A part that was trained again: its tensors, its curve, and what it cost."""

    tensors: Tensors
    curve: tuple[vlm_training.Point, ...]
    cpu_s: float


def retrain(root: Path, p: Testbed, say: Callable[[str], None]) -> dict[str, Any]:
    """Train every part of the model in data/checkpoint again, ask the held-out questions, and write file and card."""
    path = root / models.TRAINED
    tensors = models.read_weights(path)
    less = {name: part_again(tensors, p, name, p.retrained.of(name).kept, say) for name in prune_weights.PARTS}
    whole = {name: part_again(tensors, p, name, 1.0, say) for name in prune_weights.PARTS}
    write(less, p, path)
    return check(root, p, whole)


def part_again(tensors: Tensors, p: Testbed, technique: str, kept: float, say: Callable[[str], None]) -> Again:
    """The part of ``technique`` with ``kept`` of its units, trained again in the trained model's ``tensors``."""
    model = beginner(tensors, p, technique, kept)
    recipe = p.trained.model_copy(update={"language": p.retrained.of(technique).language, "seed": p.retrained.seed})
    own = {name for name, w in model.named_parameters() if w.requires_grad}
    done = vlm_training.retrain(model, recipe, lambda words: say(f"{technique}, {kept:.0%} kept: {words}"))
    left = {k: w.detach().half().contiguous() for k, w in done.model.named_parameters() if k in own}
    return Again(left, done.curve, done.cpu_s)


def beginner(tensors: Tensors, p: Testbed, technique: str, kept: float) -> Any:
    """The trained model with the part of ``technique`` cut to ``kept`` of its units: that part learns, all else is held still."""
    from torch import nn

    part = prune_weights.PARTS[technique]
    model = models.filled(p, tensors, technique)
    blocks = prune_weights.blocks(wrap(model), part)
    own = tuple(f"{b.path}." for b in blocks)
    for weight in model.parameters():
        weight.requires_grad = False
    for name, weight in prune_weights.cut(dict(model.named_parameters()), part, blocks, kept).items():
        parent, _, last = name.rpartition(".")
        if name.startswith(own):
            learns = nn.Parameter(weight.detach().clone())
            model.get_submodule(parent)._parameters[last] = learns  # noqa: SLF001 - of another shape than the module was made for
    return model


def write(parts: Mapping[str, Again], p: Testbed, trained: Path) -> None:
    """Write file and card beside the trained model's; what the parts answer is added by ``check``.

    The file holds each tensor once, in float16, in the order of the names: the same weights give the same bytes.
    """
    from safetensors.torch import save_file

    path = trained.with_name(pruned_files.FILE)
    every = {k: w for one in parts.values() for k, w in one.tensors.items()}
    with atomic(path) as file:
        save_file(dict(sorted(every.items())), file)
    known = {
        name: {
            "kept": p.retrained.of(name).kept,
            "weights": sum(w.numel() for w in one.tensors.values()),
            "cpu_s": round(one.cpu_s, 1),
            "curve": [list(point) for point in one.curve],
        }
        for name, one in parts.items()
    }
    words = {"sha256": sha256(path), "trained": sha256(trained), "recipe": pruned_files.recipe(p.retrained)}
    model_card.write(trained.with_name(pruned_files.CARD), words | {"trained_on": machine_fingerprint.describe(), "parts": known})


def check(root: Path, p: Testbed, whole: Mapping[str, Again]) -> dict[str, Any]:
    """Ask the held-out questions of each part: cut alone, trained again, both together; and of ``whole`` parts trained as long.

    Each is paired with the trained model's own answers.
    """
    some = digits.examples(p.trained.held_out, p.trained.seed, held_out=True)
    engine = models.engine(root, p, "trained")
    full = answer(engine, some).right

    def told(right: Right) -> dict[str, Any]:
        joined = [np.concatenate([r[kind] for kind in r]) for r in (full, right)]
        change = quality.accuracy_change(*joined)
        by_kind = {str(kind): float(r.mean()) for kind, r in right.items()}
        return by_kind | {"change": change.change, "low": change.low, "high": change.high}

    known = pruned_files.card((root / models.TRAINED).parent) | {"questions": p.trained.held_out, "full": told(full)}
    for name in prune_weights.PARTS:
        on = {again: Pruning(kept=p.retrained.of(name).kept, retrained=again) for again in (False, True)}
        known["parts"][name] |= {
            "cut": told(_switched(engine, some, {name: on[False]})),
            "trained_again": told(_switched(engine, some, {name: on[True]})),
            "full_trained_as_long": told(_with(engine, some, whole[name].tensors)),
        }
    both = {name: Pruning(kept=p.retrained.of(name).kept, retrained=True) for name in prune_weights.PARTS}
    known["both_trained_again"] = told(_switched(engine, some, both))
    model_card.write((root / models.TRAINED).with_name(pruned_files.CARD), known)
    return known


def copy(source: Path, target: Path) -> None:
    """File and card as they are.

    Raises:
        EvidenceError: The file is not the one that the card speaks of.
    """
    model_card.checked(source / pruned_files.FILE, pruned_files.card(source)["sha256"], pruned_files.REMEDY)
    model_card.copy(source, target, (pruned_files.FILE, pruned_files.CARD))


def _switched(engine: Engine, some: digits.Examples, on: Mapping[str, Pruning]) -> Right:
    import contextlib

    with contextlib.ExitStack() as stack:
        for name, values in on.items():
            stack.enter_context((pruning.head_pruning if name == "head_pruning" else pruning.weight_pruning)(engine, values))
        return answer(engine, some).right


def _with(engine: Engine, some: digits.Examples, tensors: Tensors) -> Right:
    """The trained model with ``tensors`` in the place of its own of the same shape; the stored file is not kept."""
    with engine.register(
        "reshape_hooks", "trained_as_long", lambda own: own | {k: w.to(own[k].dtype) for k, w in tensors.items()}
    ):
        path = engine.folder / f"{engine.serving.stored_name()}.bin"
        path.unlink(missing_ok=True)
        try:
            return answer(engine, some).right
        finally:
            path.unlink(missing_ok=True)
