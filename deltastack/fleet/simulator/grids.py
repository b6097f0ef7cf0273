"""Operator tables made ready for the loop: dense where the axis is a small integer.

Between grid points every time is linear, on each axis. Below the first point the first value holds, beyond the last
the last segment goes on, and the result says so (``check.extrapolated``). Axes: n tokens, b sequences, K context,
P chunk, Q prefix.

By hand: 1 ms at 100 tokens and 3 ms at 200 give 2 ms at 150, 4 ms at 250 and 1 ms at 50.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.operators.tables import OperatorTables
    from deltastack.fleet.simulator.interface import Config


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


def segment(grid: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index of the grid segment in which each x lies, the outer ones open-ended; x's shape."""
    return np.clip(np.searchsorted(grid, x, side="right") - 1, 0, grid.size - 2)


def dense(grid: NDArray[np.int64], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Values at 0, 1, ..., count - 1 along the last axis of ``values``, (..., count)."""
    x = np.arange(count, dtype=np.float64)
    axis, table = _axis(grid), _stretched(grid, values, -1)
    low = segment(axis, x)
    share = (x - axis[low]) / (axis[low + 1] - axis[low])
    return np.asarray(table[..., low] + share * (table[..., low + 1] - table[..., low]))


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


def prepare(tables: OperatorTables, config: Config) -> Grids:
    """The tables, dense up to the token budget and the largest batch of ``config``."""
    tokens = max(config.token_budget, config.max_sequences) + 1
    batches = config.max_sequences + 1
    logits_s = dense(tables.logits_n, tables.logits_s, batches)
    logits_s[0] = 0.0
    chunk = _axis(tables.prefill_chunk)
    seen = tables.encoder_tokens.size > 0
    return Grids(
        step_s=dense(tables.token_n, tables.linear_s, tokens).sum(axis=0),
        logits_s=logits_s,
        decode_s=_plane(np.arange(batches), tables.decode_kv, dense(tables.decode_batch, tables.decode_attention_s.T, batches).T),
        decode_kv=_axis(tables.decode_kv),
        prefill_s=_plane(tables.prefill_chunk, tables.prefill_prefix, tables.prefill_attention_s),
        prefill_chunk=chunk,
        prefill_cell=segment(chunk, np.arange(tokens, dtype=np.float64)).astype(np.int32),
        prefill_prefix=_axis(tables.prefill_prefix),
        encoder_s=_plane(tables.encoder_tokens, tables.encoder_images, tables.encoder_s) if seen else np.zeros((2, 2)),
        encoder_tokens=_axis(tables.encoder_tokens) if seen else np.array([0.0, 1.0]),
        encoder_images=_axis(tables.encoder_images) if seen else np.array([0.0, 1.0]),
        encoder_batch=float(tables.encoder_images[-1]) if seen else 1.0,
    )
