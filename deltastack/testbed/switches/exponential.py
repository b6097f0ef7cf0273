"""Softmax with a polynomial in place of the exponential, compiled for this processor.

    exp(x) = 2^(x log2 e) = 2^n 2^f        n = round(x log2 e)        f in [-1/2, 1/2]        2^f ~ sum_i c_i f^i

The coefficients minimise the largest relative error on the interval (Chebyshev nodes), with p(0) = 1 kept, so that the
largest score always has weight exactly 1. 2^n is made by writing n into the exponent bits.

Source: Muller, Elementary Functions, 3rd ed. (2016), ch. 3 and 11; Schraudolph, Neural Computation 11 (1999) for the bits.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numba
import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LOG2_E = np.float32(1.4426950408889634)
LEAST = np.float32(-126.0)
"""Below 2^-126 the weight is zero to a 32-bit float."""
MASKED = np.float32(-3.0e38)
"""A row whose largest score is not above this sees nothing: the least floats and minus infinity are masks."""


def coefficients(degree: int) -> NDArray[np.float32]:
    """Coefficients (degree + 1,) of the polynomial, from the constant up."""
    k = np.arange(64)
    f = 0.5 * np.cos(np.pi * (2 * k + 1) / 128)
    powers = f[:, None] ** np.arange(1, degree + 1) / (2**f)[:, None]
    rest, *_ = np.linalg.lstsq(powers, (2**f - 1) / 2**f, rcond=None)
    return np.concatenate([[1.0], rest]).astype(np.float32)


@cache
def softmax(degree: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Softmax over the last axis of a float tensor on the processor; rows that see nothing come out as zeros."""
    c = coefficients(degree)

    def run(scores: torch.Tensor) -> torch.Tensor:
        rows = scores.to(torch.float32).contiguous()
        flat = rows.view(-1, rows.shape[-1])
        weights = torch.empty_like(flat)
        _rows(flat.numpy(), c, weights.numpy())
        return weights.view(rows.shape).to(scores.dtype)

    return run


@numba.njit(nogil=True, fastmath={"nnan", "nsz", "arcp", "contract", "reassoc"}, cache=True)
def _rows(scores: NDArray[np.float32], c: NDArray[np.float32], weights: NDArray[np.float32]) -> None:
    bits = weights.view(np.int32)
    for i in range(scores.shape[0]):
        largest = np.float32(-np.inf)
        for j in range(scores.shape[1]):
            largest = max(largest, scores[i, j])
        total = np.float32(0.0)
        if largest > MASKED:
            for j in range(scores.shape[1]):
                t = max((scores[i, j] - largest) * LOG2_E, LEAST)
                n = np.int32(np.floor(t + np.float32(0.5)))
                f = t - np.float32(n)
                p = c[c.size - 1]
                for k in range(c.size - 2, -1, -1):
                    p = p * f + c[k]
                bits[i, j] = (n + np.int32(127)) << np.int32(23)
                weights[i, j] *= p
                total += weights[i, j]
            for j in range(scores.shape[1]):
                weights[i, j] /= total
        else:
            weights[i, :] = np.float32(0.0)
