"""A linear layer on kept weight blocks, with loops compiled for this processor. Imports torch: only switches load it.

    y[m, 16 b + j] = sum over kept blocks t of block row b: x[m, input_t] values[t, j]

Few rows: four at a time, vectors over the block's outputs. Many rows: transposed, vectors over the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import torch
from torch import nn

from deltastack.testbed.switches.stored_names import BLOCK, INPUTS, STARTS, VALUES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from deltastack.testbed.vlm.serving import Tensors

    Floats = NDArray[np.float32]
    Ints = NDArray[np.int32] | NDArray[np.int64]

MANY_ROWS = 32
"""From here on the transposed loop is quicker on this kind of processor (measured at 512 x 1536, density 0.1 to 0.5)."""


class SparseLinear(nn.Module):
    """y = x W' + b over the kept blocks of W."""

    def __init__(self, path: str, replaced: nn.Linear, stored: Tensors) -> None:
        """Take the blocks of ``path``; ``replaced`` lends its bias."""
        super().__init__()
        self.in_features, self.out_features = replaced.in_features, replaced.out_features
        self.path = path
        self.bias: torch.Tensor | None = replaced.bias
        self._blocks: Any = None
        self._take(stored)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., K) to (..., N), in the input's dtype."""
        rows = x.reshape(-1, self.in_features).to(torch.float32).contiguous()
        y = self._few(rows) if len(rows) < MANY_ROWS else self._many(rows)
        y = y.view(*x.shape[:-1], self.out_features).to(x.dtype)
        return y if self.bias is None else y + self.bias

    def release(self) -> None:
        """Let go of the blocks."""
        self._blocks, self.packed_byte = None, 0

    def restore(self, stored: Tensors) -> None:
        """Take the blocks again."""
        self._take(stored)

    def _take(self, stored: Tensors) -> None:
        tensors = [stored[self.path + part] for part in (STARTS, INPUTS, VALUES)]
        starts, inputs, values = (t.numpy() for t in tensors)
        self._blocks = (starts, inputs, values)
        self.packed_byte = sum(t.numel() * t.element_size() for t in tensors)

    def _few(self, rows: torch.Tensor) -> torch.Tensor:
        y = torch.empty(len(rows), self.out_features)
        starts, inputs, values = self._blocks
        _by_outputs(rows.numpy(), starts, inputs, values, y.numpy())
        return y

    def _many(self, rows: torch.Tensor) -> torch.Tensor:
        y = torch.empty(self.out_features, len(rows))
        starts, inputs, values = self._blocks
        _by_rows(rows.t().contiguous().numpy(), starts, inputs, values, y.numpy())
        return y.t()


@numba.njit(nogil=True, fastmath=True, cache=True)
def _by_outputs(x: Floats, starts: Ints, inputs: Ints, values: Floats, y: Floats) -> None:
    fours = x.shape[0] - x.shape[0] % 4
    _one_by_one(x[fours:], starts, inputs, values, y[fours:])
    for m in range(0, fours, 4):
        for b in range(starts.size - 1):
            out = slice(b * BLOCK, (b + 1) * BLOCK)
            y0, y1, y2, y3 = y[m, out], y[m + 1, out], y[m + 2, out], y[m + 3, out]
            y0[:], y1[:], y2[:], y3[:] = 0, 0, 0, 0
            for t in range(starts[b], starts[b + 1]):
                k = inputs[t]
                x0, x1, x2, x3 = x[m, k], x[m + 1, k], x[m + 2, k], x[m + 3, k]
                for j in range(BLOCK):
                    v = values[t, j]
                    y0[j] += x0 * v
                    y1[j] += x1 * v
                    y2[j] += x2 * v
                    y3[j] += x3 * v


@numba.njit(nogil=True, fastmath=True, cache=True)
def _one_by_one(x: Floats, starts: Ints, inputs: Ints, values: Floats, y: Floats) -> None:
    for m in range(x.shape[0]):
        for b in range(starts.size - 1):
            one = y[m, b * BLOCK : (b + 1) * BLOCK]
            one[:] = 0
            for t in range(starts[b], starts[b + 1]):
                for j in range(BLOCK):
                    one[j] += x[m, inputs[t]] * values[t, j]


@numba.njit(nogil=True, fastmath=True, cache=True)
def _by_rows(x: Floats, starts: Ints, inputs: Ints, values: Floats, y: Floats) -> None:
    for b in range(starts.size - 1):
        y[b * BLOCK : (b + 1) * BLOCK, :] = 0
        for t in range(starts[b], starts[b + 1]):
            k = inputs[t]
            for j in range(BLOCK):
                v = values[t, j]
                n = b * BLOCK + j
                for m in range(x.shape[1]):
                    y[n, m] += v * x[k, m]
