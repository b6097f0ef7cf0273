"""Operator tables made ready for the loop: dense where the axis is a small integer.

Between grid points every time is linear, on each axis. Below the first point the first value holds, beyond the last
the last segment goes on, and the result says so (``check.extrapolated``). Axes: n tokens, b sequences, K context,
P chunk, Q prefix.

By hand: 1 ms at 100 tokens and 3 ms at 200 give 2 ms at 150, 4 ms at 250 and 1 ms at 50.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.operators.tables import OperatorTables


class Grids(NamedTuple):
    """Times [s] in the form the loop reads."""

    step_s: NDArray[np.float64]
    """(N,) all linear operators at n tokens, n = 0, 1, 2, ..."""
    logits_s: NDArray[np.float64]
    """(B,) logits of b sequences; 0 at b = 0."""
    decode_s: NDArray[np.float64]
    """(B, K) attention of b decoding sequences at the contexts ``decode_kv``."""
    decode_kv: NDArray[np.float64]
    prefill_s: NDArray[np.float64]
    """(P, Q)."""
    prefill_chunk: NDArray[np.float64]
    prefill_cell: NDArray[np.int32]
    """(N,) the segment of ``prefill_chunk`` in which a chunk of n tokens lies."""
    prefill_prefix: NDArray[np.float64]
    encoder_s: NDArray[np.float64]
    """(E, I); one zero for a text-only model."""
    encoder_tokens: NDArray[np.float64]
    encoder_images: NDArray[np.float64]
    encoder_batch: float
    """Most images in one encoder run: the end of the grid; more are encoded in several runs."""


def read(grid: NDArray[np.int64], values: NDArray[np.float64], x: NDArray[np.int64]) -> NDArray[np.float64]:
    """Values at every x along the last axis of ``values``, (..., x)."""
    if grid.size == 1:
        return np.repeat(values, x.size, -1)
    far = grid[-1] + 1 + max(int(x.max()), 0)
    slope = (values[..., -1] - values[..., -2]) / (grid[-1] - grid[-2])
    points = np.append(grid, far)
    ends = np.concatenate([values, (values[..., -1] + slope * (far - grid[-1]))[..., None]], -1)
    rows = [np.interp(x, points, row) for row in ends.reshape(-1, points.size)]
    return np.stack(rows).reshape(*values.shape[:-1], x.size)


def _axis(grid: NDArray[np.int64]) -> NDArray[np.float64]:
    """The grid as floats from 0 on, with at least two points."""
    points = np.ascontiguousarray(grid, dtype=np.float64)
    if points[0] > 0.0:
        return np.concatenate([[0.0], points])
    return points if points.size > 1 else np.array([0.0, 1.0])


def _stretched(grid: NDArray[np.int64], values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The values with the first repeated where ``_axis`` adds a point to the grid."""
    if grid[0] > 0 or grid.size == 1:
        return np.concatenate([values.take([0], axis), values], axis)
    return values


def _plane(rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A two-dimensional table ready for bilinear reading."""
    return np.ascontiguousarray(_stretched(columns, _stretched(rows, values, 0), 1), dtype=np.float64)


@lru_cache(maxsize=8)
def prepare(tables: OperatorTables, token_budget: int, max_sequences: int) -> Grids:
    """The tables, dense up to the token budget and the largest batch; nobody writes to them."""
    tokens = np.arange(max(token_budget, max_sequences) + 1)
    batches = np.arange(max_sequences + 1)
    logits_s = read(tables.logits_n, tables.logits_s, batches)
    logits_s[0] = 0.0
    chunk = _axis(tables.prefill_chunk)
    seen = tables.encoder_tokens.size > 0
    return Grids(
        step_s=read(tables.token_n, tables.linear_s.sum(axis=0), tokens),
        logits_s=logits_s,
        decode_s=_plane(batches, tables.decode_kv, read(tables.decode_batch, tables.decode_attention_s.T, batches).T),
        decode_kv=_axis(tables.decode_kv),
        prefill_s=_plane(tables.prefill_chunk, tables.prefill_prefix, tables.prefill_attention_s),
        prefill_chunk=chunk,
        prefill_cell=np.clip(np.searchsorted(chunk, tokens, side="right") - 1, 0, chunk.size - 2).astype(np.int32),
        prefill_prefix=_axis(tables.prefill_prefix),
        encoder_s=_plane(tables.encoder_tokens, tables.encoder_images, tables.encoder_s) if seen else np.zeros((2, 2)),
        encoder_tokens=_axis(tables.encoder_tokens) if seen else np.array([0.0, 1.0]),
        encoder_images=_axis(tables.encoder_images) if seen else np.array([0.0, 1.0]),
        encoder_batch=float(tables.encoder_images[-1]) if seen else 1.0,
    )
