"""Attention of one new token a request, by plain equations that torch.compile fuses: what the library's kernel cannot vary.

    p = softmax(q k^T / sqrt(d)),  o = p v                        compiled: the control
    p = e^s / sum e^s,  s = q k^T / sqrt(d), no maximum taken     bounded: |q| = |k| = sqrt(d) after their norms, so s <= sqrt(d)

Keys and values may be e4m3: they are widened where they are read, so that memory moves half of the bytes.

Source: FlashAttention, arXiv 2205.14135 (the maximum's purpose); query and key norms, arXiv 2302.05442.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from deltastack.accelerator.settings import Attention

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor


def compiled(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Softmax as it is written.

    Args:
        q: (requests, heads, dim).
        keys: (requests, context, heads of keys, dim).
        values: As ``keys``.

    Returns:
        (requests, heads, dim) in the type of ``q``.
    """
    return _weighted(torch.softmax(_scores(q, keys), dim=1), values, q)


def no_maximum(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Softmax without its maximum; arguments as ``compiled``."""
    grown = torch.exp(_scores(q, keys))
    return _weighted(grown / grown.sum(dim=1, keepdim=True), values, q)


def _scores(q: Tensor, keys: Tensor) -> Tensor:
    """(requests, context, heads of keys, queries of each)."""
    n, heads, dim = q.shape
    asked = q.view(n, 1, keys.shape[2], heads // keys.shape[2], dim).float()
    found: Tensor = (asked * keys.float()[:, :, :, None]).sum(-1) * dim**-0.5
    return found


def _weighted(shares: Tensor, values: Tensor, q: Tensor) -> Tensor:
    found = (shares[..., None] * values.float()[:, :, :, None]).sum(1)
    return found.reshape(q.shape).to(q.dtype)


KERNELS: Mapping[Attention, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    Attention.COMPILED: compiled,
    Attention.NO_MAXIMUM: no_maximum,
}
