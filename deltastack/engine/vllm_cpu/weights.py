"""The trained weights by the names that vLLM looks for, widened with zeros, and in 8 bits.

Widening keeps what the decoder computes. New numbers of a hidden state are zero and stay zero: matrices get rows and columns of
zeros, and a new block is the first one with an outcome of zero. Of the norms only the mean changes, where h of H numbers are
other than zero:

    x / sqrt(h/H · mean_h(x²) + h/H · ε) · sqrt(h/H) · w  =  x / sqrt(mean_h(x²) + ε) · w

so that the weight is multiplied by sqrt(h/H) and ε by h/H. A processor multiplies zeros as slowly as other numbers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float32] | NDArray[np.int8]
    Tensors = dict[str, Array]

_LEVELS = 127
_BLOCK = re.compile(r"(?<=\.layers\.)\d+(?=\.)")
_DECODER = "language_model."
_OUTCOMES = ("o_proj", "down_proj")
"""What a block adds to the state comes out of these."""
_PER_HEAD = ("q_norm", "k_norm")
"""Norms of one head, whose width stays."""


def renamed(name: str) -> str:
    """A tensor's name in the trainer's file as vLLM looks for it.

    >>> renamed("model.language_model.norm.weight"), renamed("model.vision_tower.embeddings.x")
    ('language_model.model.norm.weight', 'vision_tower.vision_model.embeddings.x')
    """
    plain = name.removeprefix("model.")
    for ours, theirs in ((_DECODER, "language_model.model."), ("vision_tower.", "vision_tower.vision_model.")):
        if plain.startswith(ours):
            return theirs + plain.removeprefix(ours)
    return plain


def widened(tensors: Mapping[str, NDArray[np.float32]], *, hidden: int, feed_forward: int, layers: int) -> Tensors:
    """``tensors``, by vLLM's names, of a decoder with ``hidden`` numbers a state that answers as before."""
    before = tensors["language_model.model.norm.weight"].shape[0]
    sizes = {before: hidden, tensors["language_model.model.layers.0.mlp.up_proj.weight"].shape[0]: feed_forward}
    found: Tensors = {}
    for name, values in tensors.items():
        found[name] = _wide(name, values, sizes, np.float32(np.sqrt(before / hidden)))
    first = {n: w for n, w in found.items() if n.startswith(_DECODER) and ".layers.0." in n}
    first |= {n: np.zeros_like(w) for n, w in first.items() if any(p in n for p in _OUTCOMES)}
    there = {int(m[0]) for n in tensors if n.startswith(_DECODER) and (m := _BLOCK.search(n))}
    for number in range(len(there), layers):
        found |= {_BLOCK.sub(str(number), n): w for n, w in first.items()}
    return found


def in_8_bits(tensors: Mapping[str, Array]) -> Tensors:
    """The decoder's matrices as int8 with one scale a row, the rest as it is.

    >>> found = in_8_bits({"language_model.model.layers.0.mlp.up_proj.weight": np.array([[1.0, -2.0], [0.0, 0.0]], np.float32)})
    >>> [w.tolist() for w in found.values()]
    [[[64, -127], [0, 0]], [[0.015748031437397003], [1.0]]]
    """
    found: Tensors = {}
    for name, values in tensors.items():
        if not (name.startswith(_DECODER) and _BLOCK.search(name) and values.ndim == 2):  # noqa: PLR2004 - a matrix
            found[name] = values
            continue
        largest = np.abs(values).max(axis=1, keepdims=True)
        scale = np.where(largest > 0, largest / _LEVELS, 1).astype(np.float32)
        found[name] = np.rint(values / scale).astype(np.int8)
        found[f"{name}_scale"] = scale
    return found


def _wide(name: str, values: NDArray[np.float32], sizes: Mapping[int, int], share: np.float32) -> NDArray[np.float32]:
    """One tensor with zeros beside it; what belongs to the tower, or to one head, stays."""
    if name.startswith("vision_tower.") or any(p in name for p in _PER_HEAD):
        return values
    stays = {"embed_tokens.weight": 0, "linear_1.weight": 1}  # rows of words, and what the tower gives
    kept = next((axis for end, axis in stays.items() if name.endswith(end)), None)
    after = [n if axis == kept else sizes[n] for axis, n in enumerate(values.shape)]
    padded = np.pad(values, [(0, wide - n) for n, wide in zip(values.shape, after, strict=True)])
    return padded * share if name.endswith("norm.weight") else padded
