"""2:4 weights: of each four along the input the two largest are kept; on a GPU by cuSPARSELt with its algorithm searched.

The library's functions are called directly, since its tensor class gives transposed answers and no e4m3. Rows are padded to what
the kernels take. An algorithm is searched for each number of rows before a graph is captured, and kept if it beats the default.

Source: NVIDIA cuSPARSELt documentation, cusparseLtMatmulSearch; Mishra et al., arXiv 2104.08378.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

_ROWS = 16
"""Rows are padded to a multiple of it: 16 bytes of e4m3, or more of bf16."""
_TRIES = 5
_FASTEST: dict[tuple[Any, ...], int] = {}
"""Algorithm by weight's shape, type and rows: all layers share one search."""


def halved(weight: Tensor) -> Tensor:
    """The weight with the two smallest of each four along the input set to zero; of equals the first stays.

    By comparisons, not by a sort: a model has billions of fours.
    """
    fours = weight.reshape(-1, 4)
    size = fours.abs().unbind(-1)
    kept = []
    for i, one in enumerate(size):
        larger = torch.zeros_like(one, dtype=torch.uint8)
        for j, other in enumerate(size):
            if i != j:
                larger += other >= one if j < i else other > one
        kept.append(larger < 2)  # noqa: PLR2004 - two of four
    return (fours * torch.stack(kept, dim=-1)).reshape(weight.shape)


class Sparse:
    """A 2:4 weight (out, in); on a processor it stays dense, with its zeros."""

    def __init__(self, pruned: Tensor) -> None:
        """Compress it on a GPU."""
        self._shape, self._type, self._on_board = tuple(pruned.shape), pruned.dtype, pruned.is_cuda
        self._held: Tensor = torch._cslt_compress(pruned.contiguous()) if self._on_board else pruned  # noqa: SLF001

    def __call__(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """``x`` (tokens, in) times the weight, (tokens, out) in ``dtype``; e4m3 without scales."""
        if not self._on_board:
            return (x.float() @ self._held.float().t()).to(dtype)
        short = -len(x) % _ROWS
        padded = torch.nn.functional.pad(x.view(torch.uint8), (0, 0, 0, short)).view(x.dtype) if short else x
        key = (self._shape, self._type, len(padded))
        if key not in _FASTEST and not torch.cuda.is_current_stream_capturing():
            _FASTEST[key] = self._search(padded, dtype)
        return self._product(padded, dtype, _FASTEST.get(key, 0))[: len(x)]

    def _product(self, x: Tensor, dtype: torch.dtype, algorithm: int) -> Tensor:
        """The kernel reads ``x`` transposed and writes its answer transposed: (tokens, out), contiguous."""
        wanted = dtype if self._type is not dtype else None
        found: Tensor = torch._cslt_sparse_mm(  # noqa: SLF001 - torch has no public name for it
            self._held, x.t(), out_dtype=wanted, transpose_result=True, alg_id=algorithm
        )
        return found

    def _search(self, x: Tensor, dtype: torch.dtype) -> int:
        """The library's own choice if it is quicker than the default, else the default, 0."""
        wanted = dtype if self._type is not dtype else None
        try:
            other = int(
                torch._cslt_sparse_mm_search(self._held, x.t(), out_dtype=wanted, transpose_result=True)  # noqa: SLF001
            )
            return min((0, other), key=lambda a: self._seconds(x, dtype, a))
        except RuntimeError:
            return 0

    def _seconds(self, x: Tensor, dtype: torch.dtype, algorithm: int) -> float:
        """Device time of one product, the least of a few [ms]."""
        events: Any = torch.cuda
        found = []
        for _ in range(_TRIES):
            begun, ended = events.Event(enable_timing=True), events.Event(enable_timing=True)
            begun.record()
            self._product(x, dtype, algorithm)
            ended.record()
            ended.synchronize()
            found.append(float(begun.elapsed_time(ended)))
        return min(found)
