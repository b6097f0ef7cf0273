"""A mixture of experts in place of the feed-forward: each token meets the few experts that its router prefers.

    p = softmax(W_r h),  S = the k largest of p,  y = sum over e in S of p_e / sum p_S  W_down,e (silu(a) b),  (a, b) = W_up,e h

Tokens are sorted by expert, so that one grouped product serves all of them without a wait for the device: a graph can hold it.
Experts stay in the base's arithmetic whatever is switched on: the products of fp8, int8 and 2:4 are those of attention alone.

Source: Switch Transformers, arXiv 2101.03961; OLMoE, arXiv 2409.02060.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class Experts(NamedTuple):
    """Weights of one layer."""

    router: Tensor
    """(experts, hidden)."""
    up: Tensor
    """(experts, 2 ffn, hidden)."""
    down: Tensor
    """(experts, hidden, ffn)."""
    active: int
    """Experts that a token meets."""


def mixed(h: Tensor, e: Experts, gate: Callable[[Tensor], Tensor]) -> Tensor:
    """(tokens, hidden) through its experts, (tokens, hidden).

    Args:
        h: Normed activations.
        e: The weights.
        gate: (tokens, 2 ffn) to (tokens, ffn).
    """
    shares, chosen = torch.softmax(torch.nn.functional.linear(h, e.router).float(), dim=-1).topk(e.active)
    shares /= shares.sum(dim=-1, keepdim=True)
    order = chosen.flatten().argsort(stable=True)
    counts = torch.zeros(len(e.router), dtype=torch.int32, device=h.device)
    counts.scatter_add_(0, chosen.flatten(), torch.ones_like(order, dtype=torch.int32))
    ends = counts.cumsum(0, dtype=torch.int32)
    inner = gate(grouped(h[order // e.active], e.up, ends))
    found = grouped(inner, e.down, ends)[order.argsort()].view(len(h), e.active, -1)
    answer: Tensor = (found * shares[..., None].to(h.dtype)).sum(dim=1)
    return answer


def grouped(x: Tensor, weights: Tensor, ends: Tensor) -> Tensor:
    """Rows of each expert times its weight: (rows, in) by (experts, out, in) gives (rows, out).

    Args:
        x: Sorted by expert.
        weights: One matrix an expert.
        ends: Where each expert's rows end, (experts,).
    """
    if x.is_cuda:
        found: Tensor = torch._grouped_mm(x, weights.transpose(1, 2), offs=ends)  # noqa: SLF001 - torch has no older name
        return found
    edges = [0, *ends.tolist()]
    return torch.cat([x[a:b] @ w.t() for (a, b), w in zip(pairwise(edges), weights, strict=True)])
