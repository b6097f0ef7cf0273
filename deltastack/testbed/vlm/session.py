"""What a session gives back: tokens, logits, and amounts by component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltastack.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from deltastack.model import Component, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One batch, served: tokens (B, n), logits (B, V) of the first new token, mean bytes of the cache while it lived."""

    tokens: Tensor
    logits: Tensor
    cache_byte: float

    @staticmethod
    def join(parts: Sequence[Served]) -> Served:
        """Micro-batches as the batch they came from, in the given order.

        Raises:
            EvidenceError: No part.
        """
        import torch

        if not parts:
            raise EvidenceError("a batch was cut into no parts")
        return Served(
            tokens=torch.cat([p.tokens for p in parts]),
            logits=torch.cat([p.logits for p in parts]),
            cache_byte=sum(p.cache_byte for p in parts),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One session: what was served, and amounts by component (absent where a resource does not apply)."""

    served: tuple[Served, ...]
    amounts: Mapping[Component, Mapping[Resource, float]]
    wall_s: float
    """Of the whole session, read from the clock: components add up to it."""
    cpu_s: float
    load_s: tuple[float, float]
    """Of this, loading and packing before the first request: wall and processor time."""
    asked_byte: int
    """Bytes that the layout asked for."""
    cached_byte_before: int
    """Bytes of the stored file that were in the page cache before the load: 0 where the start was cold."""

    def total(self, resource: Resource) -> float:
        """Sum over components."""
        return sum(v[resource] for v in self.amounts.values() if resource in v)
