"""What a prefix or an image costs to compute, and how many bytes it is: the two sides of a restore.

    compute_s(n, p) = linear_s(n) - linear_s(1) + prefill_attention_s(n, p)      n more tokens, in a step that runs anyway
    break-even bandwidth = kv bytes a token / (compute_s(n, 0) / n)

Source: operator tables; the break-even of physics/pooling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import UnknownNameError
from deltastack.fleet.operators.shapes import BF16_BYTES, shapes
from deltastack.fleet.physics import pooling
from deltastack.fleet.simulator.grids import read

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.operators import OperatorTables


def break_even_bytes_per_s(tables: OperatorTables, tokens: int) -> float:
    """Bandwidth above which a prefix of ``tokens`` is restored more quickly than computed.

    Raises:
        OutOfValidityError: As ``pooling.break_even_bytes_per_s``.
    """
    count = np.array([tokens])
    seconds = float(compute_s(tables, count, np.zeros(1, dtype=np.int64))[0])
    return pooling.break_even_bytes_per_s(kv_bytes(tables), seconds / tokens)


def compute_s(tables: OperatorTables, tokens: NDArray[np.int64], prefix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Prefill (R,) [s] of ``tokens`` more tokens over ``prefix`` resident ones, beyond a step that runs anyway."""
    linear = tables.linear_s.sum(axis=0)
    steps = read(tables.token_n, linear, tokens) - linear[0]
    axes = (tables.prefill_chunk, tables.prefill_prefix)
    found: NDArray[np.float64] = steps + _bilinear(axes, tables.prefill_attention_s, tokens.astype(float), prefix.astype(float))
    return found


def encode_s(tables: OperatorTables, images: NDArray[np.int64], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Encoder run (R,) [s] of ``images`` images of ``size`` visual tokens each; zero for a text-only model."""
    if not tables.multimodal:
        return np.zeros(images.size)
    return _bilinear((tables.encoder_tokens, tables.encoder_images), tables.encoder_s, size, images.astype(float))


def kv_bytes(tables: OperatorTables) -> float:
    """Keys and values of one token on all accelerators of a replica [bytes]."""
    return tables.kv_bytes_per_token * tables.tensor_parallel


def embedding_bytes(tables: OperatorTables) -> float:
    """Bytes of one visual token's embedding, its deepstack levels included."""
    try:
        vision = shapes(tables.model).vision
    except UnknownNameError:
        vision = None
    return float(tables.hidden_size * BF16_BYTES * (1 + (vision.deepstack_levels if vision else 0)))


def _segment(grid: NDArray[np.int64], x: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    at = np.clip(np.searchsorted(grid, x, side="right") - 1, 0, grid.size - 2)
    inside = (np.maximum(x, grid[0]) - grid[at]) / (grid[at + 1] - grid[at])
    return at, inside


def _bilinear(
    axes: tuple[NDArray[np.int64], NDArray[np.int64]],
    values: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Values (R,) at points between the grid's, the outer segments going on; below the first point the first value holds."""
    rows, columns = axes
    i, u = _segment(rows, x)
    j, v = _segment(columns, y)
    near = values[i, j] + u * (values[i + 1, j] - values[i, j])
    far = values[i, j + 1] + u * (values[i + 1, j + 1] - values[i, j + 1])
    found: NDArray[np.float64] = near + v * (far - near)
    return found
