"""An attention function with its own exponential, registered under a name with Transformers.

Both registries are written: without an entry of the same name in the mask registry the function would be handed no mask
at all, and padded rows would come out wrong without an error.

    p_ij = f(s_ij - max_j s_ij) / sum_j f(s_ij - max_j s_ij)        s = q k' / sqrt(d) + mask        f ~ exp

What must not be seen has the least finite score, so that a padding row, which sees nothing, stays finite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn


def register(name: str, softmax: Callable[[Tensor], Tensor]) -> None:
    """Make ``name`` an attention implementation that uses ``softmax`` over the last axis; again under one name replaces it."""

    def attend(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **given: Any
    ) -> tuple[Tensor, None]:
        scale = given.get("scaling") or query.shape[-1] ** -0.5
        scores = torch.matmul(query, repeated(key, query).transpose(-1, -2)) * scale
        scores = masked(scores, attention_mask, causal=is_causal(module, query, given, attention_mask))
        weights = softmax(scores).to(value.dtype)
        return torch.matmul(weights, repeated(value, query)).transpose(1, 2).contiguous(), None

    AttentionInterface.register(name, attend)
    AttentionMaskInterface.register(name, sdpa_mask)


def is_causal(module: nn.Module, query: Tensor, given: dict[str, Any], mask: Tensor | None) -> bool:
    """Whether a missing mask means the causal one, as Transformers' own sdpa path decides it."""
    asked = given.get("is_causal")
    causal = asked if asked is not None else getattr(module, "is_causal", True)
    return bool(causal) and mask is None and query.shape[2] > 1


def repeated(x: Tensor, query: Tensor) -> Tensor:
    """Keys or values (B, G, T, D) for every query head, (B, H, T, D)."""
    groups = query.shape[1] // x.shape[1]
    return x if groups == 1 else x.repeat_interleave(groups, dim=1)


def masked(scores: Tensor, mask: Tensor | None, *, causal: bool) -> Tensor:
    """Scores (B, H, Q, K) with what must not be seen at the least finite number; the mask may be longer than the keys."""
    least = torch.finfo(scores.dtype).min
    if mask is not None:
        mask = mask[..., : scores.shape[-1]]
        return scores.masked_fill(~mask, least) if mask.dtype == torch.bool else (scores + mask).clamp_min(least)
    if causal:
        queries, keys = scores.shape[-2:]
        seen = torch.ones(queries, keys, dtype=torch.bool, device=scores.device).tril(keys - queries)
        return scores.masked_fill(~seen, least)
    return scores
