"""Questions whose answers can be right or wrong: real handwritten digits, four in a grid.

A grid shows four scans, two by two. A question asks for one of them or for something about all of them; the answer reads
the four digits and then says what was asked. Each question also exists in words: the grid is written into the prompt
instead of shown. Scans are split before grids are made, so a held-out grid holds no scan that was trained on.

Data: optical recognition of handwritten digits (Alpaydin & Kaynak, 1998), 1,797 scans of 8 x 8 grey levels, as shipped
with scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack.testbed.vlm.served_model import Batch, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CELLS = ("A1", "A2", "B1", "B2")
_OF_ALL: dict[str, Callable[[NDArray[np.int64]], NDArray[np.int64]]] = {
    "even": lambda d: (d % 2 == 0).sum(1),
    "largest": lambda d: d.max(1),
    "smallest": lambda d: d.min(1),
    "sum": lambda d: d.sum(1),
    "above": lambda d: (d > 5).sum(1),  # noqa: PLR2004 - how many are above five
}
QUESTIONS = ("at", *_OF_ALL)
WORDS = ("pad", "begin", "image", "?", "all", *CELLS, *QUESTIONS, *map(str, range(37)))
"""The vocabulary: four digits add up to at most 36."""
TOKEN = {word: n for n, word in enumerate(WORDS)}
ANSWER_TOKENS = len(CELLS) + 1
_ZERO = TOKEN["0"]
_HELD_OUT = 360
_SPLIT_SEED = 1
_NOISE_LEVEL = 20.0


class Scans(NamedTuple):
    """Digits of one split: (n, 8, 8) grey levels 0..255, and what they show, (n,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Grids with one question each: (n, 16, 16) images, (n, 4) digits, (n, 3) question tokens, (n, 5) answer tokens."""

    images: NDArray[np.uint8]
    digits: NDArray[np.int64]
    kinds: NDArray[np.int64]
    """Number of the question in ``QUESTIONS``, (n,)."""
    questions: NDArray[np.int64]
    answers: NDArray[np.int64]


@cache
def scans(*, held_out: bool) -> Scans:
    """The 1,437 scans to train on, or the 360 that are held out."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(data.target))
    rows = order[:_HELD_OUT] if held_out else order[_HELD_OUT:]
    grey = np.rint(data.images[rows] * (255 / 16)).astype(np.uint8)
    return Scans(grey, data.target[rows].astype(np.int64))


def grids(source: Scans, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(n, 4) row numbers of scans as (n, 16, 16) images: A1 A2 above B1 B2."""
    a1, a2, b1, b2 = (source.images[rows[:, i]] for i in range(4))
    top, bottom = np.concatenate([a1, a2], axis=2), np.concatenate([b1, b2], axis=2)
    return np.concatenate([top, bottom], axis=1)


def jittered(source: Scans, rows: NDArray[np.int64], chance: np.random.Generator) -> Scans:
    """Scans of ``rows``, (n, 4), as (4 n) new ones: moved by up to one pixel, brighter or darker by a fifth, with noise."""
    flat = rows.ravel()
    wide = np.pad(source.images[flat].astype(np.float32), ((0, 0), (1, 1), (1, 1)))
    down, right = chance.choice(3, (2, len(flat)), p=(0.2, 0.6, 0.2))
    span = np.arange(source.images.shape[1])
    moved = wide[np.arange(len(flat))[:, None, None], (down[:, None] + span)[:, :, None], (right[:, None] + span)[:, None, :]]
    light = chance.uniform(0.8, 1.2, (len(flat), 1, 1))
    noisy = moved * light + chance.normal(0, _NOISE_LEVEL, moved.shape)
    return Scans(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), source.labels[flat])


def ask(digits: NDArray[np.int64], kinds: NDArray[np.int64], cells: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Question (n, 3) and answer tokens (n, 5) about (n, 4) digits; ``cells`` (n,) matters where the kind is ``at``."""
    n = np.arange(len(digits))
    values = np.stack([digits[n, cells], *(f(digits) for f in _OF_ALL.values())])[kinds, n]
    first_cell = TOKEN[CELLS[0]]
    argument = np.where(kinds == 0, first_cell + cells, TOKEN["all"])
    questions = np.stack([TOKEN["at"] + kinds, argument, np.full(len(n), TOKEN["?"])], axis=1)
    return questions, np.concatenate([_ZERO + digits, _ZERO + values[:, None]], axis=1)


def examples(count: int, seed: int, *, held_out: bool) -> Examples:
    """``count`` grids, every kind of question equally often."""
    source, chance = scans(held_out=held_out), np.random.default_rng([seed, held_out])
    rows = chance.integers(0, len(source.labels), (count, len(CELLS)))
    digits = source.labels[rows]
    kinds = chance.permutation(np.arange(count) % len(QUESTIONS))
    questions, answers = ask(digits, kinds, chance.integers(0, len(CELLS), count))
    return Examples(images=grids(source, rows), digits=digits, kinds=kinds, questions=questions, answers=answers)


def opening(digits: NDArray[np.int64], image_tokens: int | None) -> NDArray[np.int64]:
    """What stands before the question, (n, T): ``image_tokens`` placeholders, or the grid in words where None."""
    n = len(digits)
    begin = np.full((n, 1), TOKEN["begin"])
    if image_tokens is not None:
        return np.concatenate([begin, np.full((n, image_tokens), TOKEN["image"])], axis=1)
    names = np.broadcast_to([TOKEN[c] for c in CELLS], digits.shape)
    words = np.stack([names, _ZERO + digits], axis=2).reshape(n, -1)
    return np.concatenate([begin, words], axis=1)


def batch(some: Examples, kind: Kind, image_tokens: int, *, rows: slice = slice(None), gap_s: float = 0.0) -> Batch:
    """``rows`` of ``some`` as a batch of image or of text requests."""
    import torch

    shown = kind is Kind.IMAGE
    start = opening(some.digits[rows], image_tokens if shown else None)
    return Batch(
        kind=kind,
        prompts=torch.from_numpy(np.concatenate([start, some.questions[rows]], axis=1)),
        images=torch.from_numpy(some.images[rows]) if shown else None,
        new_tokens=ANSWER_TOKENS,
        answers=torch.from_numpy(some.answers[rows]),
        gap_s=gap_s,
    )
