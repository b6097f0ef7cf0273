"""One product of the decoder, in every arithmetic; on a processor the same numbers by plain products.

    fp8        y = (q(x) q(w)^T) s_x s_w,  q(z) = round(z / s) in e4m3, s = max |z| / 448 over a tensor or a row; of a tensor of
               activations s is that of the first call (a static scale), larger numbers saturate
    int8       the same with 127 and sums in 32 bits
    2:4        of each four weights along the input the two largest are kept; in bf16, or in e4m3 by tensor

``pack`` brings activations into the form of a product. It is fused with the function before it (``clusters``), else its extra
kernels would eat the gain.

Source: NVIDIA, FP8 formats for deep learning (arXiv 2209.05433); Mishra et al., arXiv 2104.08378 (2:4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from deltastack.accelerator import sparse
from deltastack.accelerator.settings import Arithmetic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

FP8 = torch.float8_e4m3fn
_FP8_MOST = 448.0
_INT8_MOST = 127.0
_INT8_ROWS = 32
"""``torch._int_mm`` on a GPU wants more than 16 rows, in eights."""
STATIC = frozenset({Arithmetic.FP8_TENSOR, Arithmetic.SPARSE_FP8})
"""Arithmetics with one scale a tensor of activations, that of the first call."""


def saturated(x: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """``x`` over ``scale`` in e4m3, and the scale; what is larger than its most becomes its most."""
    return (x.float() / scale).clamp(-_FP8_MOST, _FP8_MOST).to(FP8), scale


def by_row(x: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
    """``x`` (tokens, in) in e4m3 with one scale a token, (tokens, 1)."""
    scaled, scale = quantized(x, _FP8_MOST, by_row=True)
    return scaled.to(FP8), scale


def by_row_int8(x: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
    """``x`` (tokens, in) in int8 with one scale a token, (tokens, 1)."""
    scaled, scale = quantized(x, _INT8_MOST, by_row=True)
    return scaled.round().to(torch.int8), scale


def as_it_is(x: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """``x`` itself; the scale has no use."""
    return x, scale


PACKERS: Mapping[Arithmetic, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    Arithmetic.DENSE: as_it_is,
    Arithmetic.SPARSE_24: as_it_is,
    Arithmetic.FP8_TENSOR: saturated,
    Arithmetic.SPARSE_FP8: saturated,
    Arithmetic.FP8_ROW: by_row,
    Arithmetic.INT8: by_row_int8,
}


class Linear:
    """A weight (out, in) with the forms that arithmetics need; each is made when it is first asked for."""

    def __init__(self, weight: Tensor, rescale: Callable[..., Tensor] | None = None) -> None:
        """Take the weight, and what brings sums of int8 back (``rescaled``, fused on a GPU)."""
        self.weight = weight
        self._rescale = rescale or rescaled
        self._forms: dict[Arithmetic, tuple[Any, Tensor]] = {}
        self._none = torch.ones((), device=weight.device)
        self.scale: Tensor | None = None
        """Of activations, in arithmetics with a static scale; that of the first call."""

    def prepare(self, arithmetic: Arithmetic) -> None:
        """Make the form of an arithmetic, so that no session pays for it."""
        if arithmetic is not Arithmetic.DENSE and arithmetic not in self._forms:
            self._forms[arithmetic] = self._form(arithmetic)

    def release(self, arithmetic: Arithmetic | None = None) -> None:
        """Forget a form, or all of them."""
        for a in list(self._forms) if arithmetic is None else [arithmetic]:
            self._forms.pop(a, None)

    def calibrate(self, x: Tensor) -> Tensor:
        """The static scale: that of the first ``x``."""
        if self.scale is None:
            self.scale = (x.abs().amax().float() / _FP8_MOST).clamp_min(1e-12)
        return self.scale

    def scale_of(self, arithmetic: Arithmetic) -> Tensor | None:
        """What packing needs; None where a first call has to set it."""
        return self.scale if arithmetic in STATIC else self._none

    def __call__(self, x: Tensor, arithmetic: Arithmetic) -> Tensor:
        """``x`` (tokens, in) times the weight, (tokens, out); packed by itself."""
        scale = self.calibrate(x) if arithmetic in STATIC else self._none
        return self.product(*PACKERS[arithmetic](x, scale), arithmetic, x.dtype)

    def product(self, x: Tensor, own: Tensor, arithmetic: Arithmetic, dtype: torch.dtype) -> Tensor:
        """Packed ``x`` (tokens, in) with its scale times the weight, (tokens, out) in ``dtype``."""
        if arithmetic is Arithmetic.DENSE:
            return torch.nn.functional.linear(x, self.weight)
        self.prepare(arithmetic)
        form, scale = self._forms[arithmetic]
        if arithmetic is Arithmetic.SPARSE_24:
            found: Tensor = form(x, dtype)
            return found
        if arithmetic is Arithmetic.SPARSE_FP8:
            raw: Tensor = form(x, dtype)
            return raw * (own * scale).to(dtype)
        if arithmetic is Arithmetic.INT8:
            return self._rescale(_int8(x, form), own, scale, dtype)
        return _fp8(x, own, form, scale, dtype)

    def _form(self, arithmetic: Arithmetic) -> tuple[Any, Tensor]:
        if arithmetic is Arithmetic.SPARSE_24:
            return sparse.Sparse(sparse.halved(self.weight)), self._none
        if arithmetic is Arithmetic.INT8:
            scaled, scale = quantized(self.weight, _INT8_MOST, by_row=True)
            return scaled.round().to(torch.int8).t(), scale.t()
        pruned = sparse.halved(self.weight) if arithmetic is Arithmetic.SPARSE_FP8 else self.weight
        scaled, scale = quantized(pruned, _FP8_MOST, by_row=arithmetic is Arithmetic.FP8_ROW)
        if arithmetic is Arithmetic.SPARSE_FP8:
            return sparse.Sparse(scaled.to(FP8)), scale
        return scaled.to(FP8).t(), scale.t() if arithmetic is Arithmetic.FP8_ROW else scale


def quantized(x: Tensor, most: float, *, by_row: bool) -> tuple[Tensor, Tensor]:
    """``x`` over its scale, not yet rounded, and the scale: () or (rows, 1)."""
    wide = x.float()
    largest = wide.abs().amax(dim=-1, keepdim=True) if by_row else wide.abs().amax()
    scale = (largest / most).clamp_min(1e-12)
    return wide / scale, scale


def _fp8(small: Tensor, own: Tensor, weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    if small.is_cuda:
        found: Tensor = torch._scaled_mm(  # noqa: SLF001 - torch has no public name for it
            small, weight, scale_a=own, scale_b=scale, out_dtype=dtype, use_fast_accum=True
        )
        return found
    return ((small.float() @ weight.float()) * own * scale).to(dtype)


def _int8(small: Tensor, weight: Tensor) -> Tensor:
    """Sums in 32 bits, (tokens, out)."""
    short = -len(small) % 8 if len(small) > _INT8_ROWS else _INT8_ROWS - len(small)
    padded = torch.nn.functional.pad(small, (0, 0, 0, short)) if small.is_cuda and short else small
    found: Tensor = torch._int_mm(padded, weight)[: len(small)]  # noqa: SLF001 - torch has no public name for it
    return found


def rescaled(sums: Tensor, own: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Sums in 32 bits with the scales of token and channel, as ``dtype``."""
    return (sums * own * scale).to(dtype)
