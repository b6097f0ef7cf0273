"""Bytes of weights by component: what each pool of accelerators holds, and what sparse storage shrinks.

Embedding and output matrix stay in 16 bits whatever the precision of the rest; attention and feed-forward share what is
left by their numbers of parameters.
"""

from __future__ import annotations

import math
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from deltastack.fleet.operators.shapes import BF16_BYTES, decoder, shapes
from deltastack.model import Component

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltastack.fleet.operators import OperatorTables

ENDS = 2
"""Embedding and output matrix, counted apart even where the checkpoint ties them: engines keep both."""


def by_component(tables: OperatorTables) -> dict[Component, float]:
    """Bytes on one accelerator of ``attention``, ``ffn`` and ``other``; they add up to ``tables.weight_bytes``.

    Raises:
        UnknownNameError: Nobody wrote down the shapes of the model.
    """
    count, ends = _parameters(tables.model, tables.expert_parallel), ends_bytes(tables)
    layers = max(tables.weight_bytes - ends, 0.0)
    found = {c: layers * n / sum(count.values()) for c, n in count.items()}
    return found | {Component.OTHER: tables.weight_bytes - sum(found.values())}


def feed_forward_apart(tables: OperatorTables) -> float:
    """Bytes of the feed-forward weights that ``tables`` of an attention accelerator leave to another pool.

    Raises:
        UnknownNameError: Nobody wrote down the shapes of the model.
    """
    count = _parameters(tables.model, tables.expert_parallel)
    return max(tables.weight_bytes - ends_bytes(tables), 0.0) * count[Component.FFN] / count[Component.ATTENTION]


@lru_cache(maxsize=8)
def _parameters(model: str, expert_parallel: int) -> Mapping[Component, int]:
    count = {Component.ATTENTION: 0, Component.FFN: 0}
    for name, shape in decoder(shapes(model)).items():
        if ".self_attn." in name:
            count[Component.ATTENTION] += math.prod(shape)
        elif ".mlp." in name:
            count[Component.FFN] += math.prod(shape)
    count[Component.FFN] //= expert_parallel
    return MappingProxyType(count)


def ends_bytes(tables: OperatorTables) -> float:
    """Bytes of embedding and output matrix on one accelerator.

    Raises:
        UnknownNameError: Nobody wrote down the shapes of the model.
    """
    s = shapes(tables.model)
    return ENDS * s.vocabulary * s.hidden_size * BF16_BYTES / tables.tensor_parallel
