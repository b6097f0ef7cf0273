"""One product of the decoder, in every arithmetic; on a processor the same numbers by plain products.

    fp8        y = (q(x) q(w)^T) s_x s_w,  q(z) = round(z / s) in e4m3, s = max |z| / 448 over a tensor or a row; of a tensor of
               activations s is that of the first call (a static scale), larger numbers saturate
    int8       the same with 127 and sums in 32 bits
    2:4        of each four weights along the input the two largest are kept

Source: NVIDIA, FP8 formats for deep learning (arXiv 2209.05433); Mishra et al., arXiv 2104.08378 (2:4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from deltastack.accelerator.settings import Arithmetic

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

FP8 = torch.float8_e4m3fn
_FP8_MOST = 448.0
_INT8_MOST = 127.0
_INT8_ROWS = 32
"""``torch._int_mm`` on a GPU wants more than 16 rows, in eights."""


class Linear:
    """A weight (out, in) with the forms that arithmetics need; each is made when it is first asked for."""

    def __init__(self, weight: Tensor, compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda f: f) -> None:
        """Take the weight, and what fuses elementwise functions."""
        self.weight = weight
        self._forms: dict[Arithmetic, tuple[Tensor, Tensor | None]] = {}
        self._static: Tensor | None = None
        self._by_tensor, self._by_row = compiled(saturated), compiled(by_row)

    def prepare(self, arithmetic: Arithmetic) -> None:
        """Make the form of an arithmetic, so that no session pays for it."""
        if arithmetic not in self._forms:
            self._forms[arithmetic] = _form(self.weight, arithmetic)

    def release(self) -> None:
        """Forget every form."""
        self._forms.clear()

    def __call__(self, x: Tensor, arithmetic: Arithmetic) -> Tensor:
        """``x`` (tokens, in) times the weight, (tokens, out)."""
        if arithmetic is Arithmetic.DENSE:
            return torch.nn.functional.linear(x, self.weight)
        self.prepare(arithmetic)
        form, scale = self._forms[arithmetic]
        if arithmetic is Arithmetic.SPARSE_24:
            return torch.nn.functional.linear(x, form)
        assert scale is not None  # noqa: S101 - every other form has one
        if arithmetic is Arithmetic.INT8:
            return _int8(x, form, scale)
        if arithmetic is Arithmetic.FP8_ROW:
            small, own = self._by_row(x)
            return _fp8(small, own, form, scale, x.dtype)
        if self._static is None:
            self._static = (x.abs().amax().float() / _FP8_MOST).clamp_min(1e-12)
        return _fp8(self._by_tensor(x, self._static), self._static, form, scale, x.dtype)


def saturated(x: Tensor, scale: Tensor) -> Tensor:
    """``x`` over ``scale`` in e4m3; what is larger than its most becomes its most."""
    return (x.float() / scale).clamp(-_FP8_MOST, _FP8_MOST).to(FP8)


def by_row(x: Tensor) -> tuple[Tensor, Tensor]:
    """``x`` (tokens, in) in e4m3 with one scale a token, (tokens, 1)."""
    scaled, scale = quantized(x, _FP8_MOST, by_row=True)
    return scaled.to(FP8), scale


def quantized(x: Tensor, most: float, *, by_row: bool) -> tuple[Tensor, Tensor]:
    """``x`` over its scale, not yet rounded, and the scale: () or (rows, 1)."""
    wide = x.float()
    largest = wide.abs().amax(dim=-1, keepdim=True) if by_row else wide.abs().amax()
    scale = (largest / most).clamp_min(1e-12)
    return wide / scale, scale


def halved(weight: Tensor) -> Tensor:
    """The weight with the two smallest of each four along the input set to zero."""
    fours = weight.reshape(-1, 4)
    keep = fours.abs().argsort(dim=-1, descending=True)[:, :2]
    mask = torch.zeros_like(fours, dtype=torch.bool).scatter_(1, keep, value=True)
    return (fours * mask).reshape(weight.shape)


def _form(weight: Tensor, arithmetic: Arithmetic) -> tuple[Tensor, Tensor | None]:
    if arithmetic is Arithmetic.SPARSE_24:
        pruned = halved(weight)
        return (torch.sparse.to_sparse_semi_structured(pruned), None) if weight.is_cuda else (pruned, None)
    if arithmetic is Arithmetic.INT8:
        scaled, scale = quantized(weight, _INT8_MOST, by_row=True)
        return scaled.round().to(torch.int8).t(), scale.t()
    scaled, scale = quantized(weight, _FP8_MOST, by_row=arithmetic is Arithmetic.FP8_ROW)
    return scaled.to(FP8).t(), scale.t() if arithmetic is Arithmetic.FP8_ROW else scale


def _fp8(small: Tensor, own: Tensor, weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    if small.is_cuda:
        found: Tensor = torch._scaled_mm(  # noqa: SLF001 - torch has no public name for it
            small, weight, scale_a=own, scale_b=scale, out_dtype=dtype, use_fast_accum=True
        )
        return found
    return ((small.float() @ weight.float()) * own * scale).to(dtype)


def _int8(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    scaled, own = quantized(x, _INT8_MOST, by_row=True)
    small = scaled.round().to(torch.int8)
    short = -len(small) % 8 if len(small) > _INT8_ROWS else _INT8_ROWS - len(small)
    padded = torch.nn.functional.pad(small, (0, 0, 0, short)) if x.is_cuda else small
    sums: Tensor = torch._int_mm(padded, weight)[: len(x)]  # noqa: SLF001 - torch has no public name for it
    return (sums.float() * own * scale).to(x.dtype)
