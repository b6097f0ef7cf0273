"""Times of attention and encoder runs, read from the grids by (bi)linear interpolation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.fleet.simulator.numba_support import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.simulator.grids import Grids


@compiled
def walk(grid: NDArray[np.float64], x: float, start: int) -> int:
    """Index of the grid segment in which x lies, found by walking from ``start``; the outer segments are open-ended."""
    at = start
    while at < grid.size - 2 and x >= grid[at + 1]:
        at += 1
    while at > 0 and x < grid[at]:
        at -= 1
    return at


@compiled
def prefill_attention_s(grids: Grids, chunk: int, prefix: int) -> float:
    """Attention of ``chunk`` new tokens over ``prefix`` resident ones [s], bilinear."""
    row = int(grids.prefill_cell[chunk])
    column = walk(grids.prefill_prefix, float(prefix), 0)
    x0, x1 = grids.prefill_chunk[row], grids.prefill_chunk[row + 1]
    y0, y1 = grids.prefill_prefix[column], grids.prefill_prefix[column + 1]
    u, v = (chunk - x0) / (x1 - x0), (prefix - y0) / (y1 - y0)
    table = grids.prefill_s
    near = table[row, column] + u * (table[row + 1, column] - table[row, column])
    far = table[row, column + 1] + u * (table[row + 1, column + 1] - table[row, column + 1])
    return float(near + v * (far - near))


@compiled
def encoder_s(grids: Grids, images: int, tokens: float) -> float:
    """Encoding ``images`` images of ``tokens`` visual tokens each [s]: full runs of the largest batch, then the rest."""
    full = images // int(grids.encoder_batch)
    rest = images - full * int(grids.encoder_batch)
    total_s = 0.0
    if full > 0:
        total_s += full * _one_run_s(grids, grids.encoder_batch, tokens)
    if rest > 0:
        total_s += _one_run_s(grids, float(rest), tokens)
    return total_s


@compiled
def _one_run_s(grids: Grids, images: float, tokens: float) -> float:
    """One encoder run [s], bilinear."""
    row = walk(grids.encoder_tokens, tokens, 0)
    column = walk(grids.encoder_images, images, 0)
    x0, x1 = grids.encoder_tokens[row], grids.encoder_tokens[row + 1]
    y0, y1 = grids.encoder_images[column], grids.encoder_images[column + 1]
    u, v = (tokens - x0) / (x1 - x0), (images - y0) / (y1 - y0)
    table = grids.encoder_s
    near = table[row, column] + u * (table[row + 1, column] - table[row, column])
    far = table[row, column + 1] + u * (table[row + 1, column + 1] - table[row, column + 1])
    return float(near + v * (far - near))


@compiled
def steps_before(x_s: float, first_s: float, growth_s: float) -> int:
    """How many steps start before ``x_s`` from now, when step j = 0, 1, ... takes first_s + j growth_s.

    The smallest k >= 1 with S(k) = k first_s + growth_s k (k - 1) / 2 >= x_s, from the quadratic, then
    mended by one where rounding fell on the wrong side. By hand: steps of 1, 2, 3 s start at 0, 1, 3 s, so
    2 start before 3 s and 3 before 3.5 s.
    """
    half = first_s - 0.5 * growth_s
    k = int(np.ceil(2.0 * x_s / (half + np.sqrt(max(half * half + 2.0 * growth_s * x_s, 0.0)))))
    if k > 1 and run_s(k - 1, first_s, growth_s) >= x_s:
        k -= 1
    if run_s(k, first_s, growth_s) < x_s:
        k += 1
    return max(k, 1)


@compiled
def run_s(steps: int, first_s: float, growth_s: float) -> float:
    """Duration [s] of ``steps`` steps that start with ``first_s`` and grow by ``growth_s``."""
    return steps * first_s + growth_s * 0.5 * steps * (steps - 1)
