"""Where sparse blocks begin to win: one linear layer, dense against block-sparse, by rows and density, on one thread.

Source of the layer: ``testbed.switches.sparse_linear``. Dense is the library's product of the same numbers of rows; times are
the least of several runs, interleaved, since noise only adds.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch

from deltastack.testbed.switches import sparse_gemm
from deltastack.testbed.switches.sparse_linear import SparseLinear

if TYPE_CHECKING:
    from collections.abc import Callable


class Point(NamedTuple):
    """One shape at one density: seconds of the dense and of the sparse product."""

    rows: int
    density: float
    dense_s: float
    sparse_s: float

    @property
    def saving(self) -> float:
        """(dense - sparse) / dense."""
        return 1 - self.sparse_s / self.dense_s


def sweep(layer: tuple[int, int], *, rows: tuple[int, ...], densities: tuple[float, ...], repeats: int, seed: int) -> list[Point]:
    """Every number of rows at every density, for a layer of (inputs, outputs)."""
    inputs, outputs = layer
    chance = torch.Generator().manual_seed(seed)
    dense = torch.nn.Linear(inputs, outputs, bias=False)
    dense.weight.data = torch.randn(outputs, inputs, generator=chance)
    found = []
    with torch.inference_mode():
        for density in densities:
            sparse = SparseLinear("w", dense, sparse_gemm.to_blocks({"w.weight": dense.weight.detach()}, ("w",), density))
            for m in rows:
                x = torch.randn(m, inputs, generator=chance)
                found.append(Point(m, density, *_least(repeats, partial(dense, x), partial(sparse, x))))
    return found


def break_even(points: list[Point], rows: int) -> float | None:
    """The largest density of ``points`` at which ``rows`` rows are quicker sparse; None if none is."""
    return max((p.density for p in points if p.rows == rows and p.saving > 0), default=None)


def _least(repeats: int, *jobs: Callable[[], object]) -> list[float]:
    best = [float("inf")] * len(jobs)
    for _ in range(repeats + 1):
        for i, job in enumerate(jobs):
            began = time.perf_counter()
            job()
            best[i] = min(best[i], time.perf_counter() - began)
    return best
