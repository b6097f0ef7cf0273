"""How the default model learns: first the encoder to read digits, then the decoder to answer, the encoder frozen.

Stage 1: encoder and projector see grids; from each projected token a linear head must tell its row and column, and from the
mean of a cell's tokens its digit. Stage 2: decoder and projector learn from sequences that hold one grid, shown or in words,
and several questions; a question sees the grid and itself, never another question (block mask), so one sequence trains
what is later asked one by one. Only answer tokens are learned from.

One thread, fixed seeds and deterministic algorithms: the same versions on the same kind of processor give the same file.
"""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deltastack.testbed.vlm import digits, shapes
from deltastack.testbed.vlm.families import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from deltastack.testbed.settings import Trained, VisionStage

_WARM_UP = 0.05
_CURVE_EVERY = 50
_SIDE = 2


class Point(NamedTuple):
    """One point of the training curve: mean loss of the steps since the last point."""

    stage: str
    step: int
    loss: float


class Packed(NamedTuple):
    """Sequences (n, T), places of answer tokens (A,), mask (T, T), positions (T,).

    ``mask`` is True where a row may look at a column: the opening, and its own question up to itself.
    """

    sequence: Tensor
    answer_at: Tensor
    mask: Tensor
    positions: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A trained model, its curve, and what it cost."""

    model: Any
    curve: tuple[Point, ...]
    cpu_s: float


def train(p: Trained, say: Callable[[str], None]) -> Training:
    """Train the default model; about four minutes on one thread."""
    began_s = time.process_time()
    with exactly():
        model = shapes.build("llava", p.shape, p.seed).train()
        curve = [*_vision(model, p, say), *_language(model, p, say)]
    return Training(model=model.eval(), curve=tuple(curve), cpu_s=time.process_time() - began_s)


def retrain(model: Any, p: Trained, say: Callable[[str], None]) -> Training:
    """The language stage again, over those parameters of ``model`` that still ask for a gradient; no encoder's are among them."""
    began_s = time.process_time()
    with exactly():
        curve = tuple(_language(model.train(), p, say))
    return Training(model=model.eval(), curve=curve, cpu_s=time.process_time() - began_s)


@contextlib.contextmanager
def exactly() -> Iterator[None]:
    """One thread and deterministic algorithms."""
    import torch

    torch.set_num_threads(1)
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(mode=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before)


def _vision(model: Any, p: Trained, say: Callable[[str], None]) -> Iterator[Point]:
    import torch

    chance, source = np.random.default_rng([p.seed, 1]), digits.scans(held_out=False)
    side = p.shape.image // p.shape.patch
    read = torch.nn.Linear(p.shape.hidden, 10)
    place = torch.nn.Linear(p.shape.hidden, 2 * side)
    tower = (model.model.vision_tower, model.model.multi_modal_projector, read, place)
    where = torch.arange(side * side)
    cell = (where // side * _SIDE // side) * _SIDE + where % side * _SIDE // side

    def loss() -> Tensor:
        rows = chance.integers(0, len(source.labels), (p.vision.grids, len(digits.CELLS)))
        images = grids(source, rows, chance)
        features = torch.stack(tuple(model.get_image_features(pixel_values=scaled(images, p.shape.image)).pooler_output))
        means = torch.stack([features[:, cell == c].mean(1) for c in range(len(digits.CELLS))], 1)
        labels = torch.from_numpy(source.labels[rows])
        told = place(features).unflatten(-1, (2, side)).flatten(0, 1)
        true = torch.stack([where // side, where % side], 1).repeat(len(images), 1)
        entropy = torch.nn.functional.cross_entropy
        return entropy(read(means).flatten(0, 1), labels.flatten()) + 0.3 * entropy(told.flatten(0, 1), true.flatten())

    parameters = [w for m in tower for w in m.parameters()]
    return steps("vision", p.vision, parameters, loss, say)


def _language(model: Any, p: Trained, say: Callable[[str], None]) -> Iterator[Point]:

    chance, source = np.random.default_rng([p.seed, 2]), digits.scans(held_out=False)
    tokens = (p.shape.image // p.shape.patch) ** 2
    for w in model.model.vision_tower.parameters():
        w.requires_grad = False

    def loss() -> Tensor:
        rows = chance.integers(0, len(source.labels), (p.language.grids, len(digits.CELLS)))
        shown = source.labels[rows]
        images = scaled(grids(source, rows, chance), p.shape.image)
        seen = _packed_loss(model, pack(chance, shown, p.language.questions, tokens), {"pixel_values": images})
        told = _packed_loss(model, pack(chance, shown, p.language.questions, None), {})
        return (seen + told) / 2

    parameters = [w for w in model.parameters() if w.requires_grad]
    return steps("language", p.language, parameters, loss, say)


def grids(source: digits.Scans, rows: NDArray[np.int64], chance: np.random.Generator) -> Tensor:
    """Grids (n, 16, 16) of jittered scans: 1,437 scans alone would be learned by heart."""
    import torch

    moved = digits.jittered(source, rows, chance)
    return torch.from_numpy(digits.grids(moved, np.arange(rows.size).reshape(rows.shape)))


def _packed_loss(model: Any, packed: Packed, pixels: dict[str, Tensor]) -> Tensor:
    """Cross entropy of answer tokens of sequences with one grid and several questions each."""
    import torch

    logits = said(model, packed, pixels).logits[:, packed.answer_at - 1]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), packed.sequence[:, packed.answer_at].flatten())


def said(model: Any, packed: Packed, pixels: dict[str, Tensor], **more: bool) -> Any:
    """What ``model`` says to packed sequences: its output as Transformers gives it, logits (n, T, V)."""
    import torch

    sequence, _, mask, positions = packed
    n = len(sequence)
    bias = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)[None, None].expand(n, 1, -1, -1)
    return model(input_ids=sequence, attention_mask=bias, position_ids=positions[None].expand(n, -1), **pixels, **more)


def pack(chance: np.random.Generator, shown: NDArray[np.int64], questions: int, tokens: int | None) -> Packed:
    """Grids (n, 4) with ``questions`` each, shown by ``tokens`` placeholders or told in words where None."""
    import torch

    start = digits.opening(shown, tokens)
    n, opened = start.shape
    parts, block = [start], [np.zeros(opened, np.int64)]
    for q in range(questions):
        kinds, cells = (np.asarray(chance.integers(0, len(x), n)) for x in (digits.QUESTIONS, digits.CELLS))
        asked, answers = digits.ask(shown, kinds, cells)
        parts += [asked, answers]
        block.append(np.full(asked.shape[1] + answers.shape[1], q + 1))
    group = np.concatenate(block)
    step = len(block[1])
    within = np.arange(len(group)) - opened
    positions = np.where(group == 0, np.arange(len(group)), opened + within % step)
    same = (group[:, None] == group[None, :]) | (group[None, :] == 0)
    causal = np.tri(len(group), dtype=bool)
    answer_at = np.flatnonzero((group > 0) & (within % step >= step - digits.ANSWER_TOKENS))
    made = (np.concatenate(parts, axis=1), answer_at, same & causal, positions)
    return Packed(*(torch.from_numpy(np.ascontiguousarray(x)) for x in made))


def steps(
    stage: str, p: VisionStage, parameters: list[Any], loss: Callable[[], Tensor], say: Callable[[str], None]
) -> Iterator[Point]:
    """AdamW with warm-up and cosine decay."""
    import torch

    optimizer = torch.optim.AdamW(parameters, lr=p.rate, weight_decay=p.decay, betas=(0.9, 0.98))
    total = 0.0
    for step in range(1, p.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = p.rate * _rate(step / p.steps)
        value: Any = loss()
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        total += float(value.detach())
        if step % _CURVE_EVERY == 0 or step == p.steps:
            point = Point(stage, step, total / ((step - 1) % _CURVE_EVERY + 1))
            say(f"{stage} {step}/{p.steps}: loss {point.loss:.4f}")
            total = 0.0
            yield point


def _rate(done: float) -> float:
    """Share of the peak rate after ``done`` of the steps."""
    if done < _WARM_UP:
        return done / _WARM_UP
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))
