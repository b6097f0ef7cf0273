"""Whose step starts first: a tree of winners over the replicas, so that a change costs O(log G) and a look O(1).

The leaves ``width .. 2 width - 1`` hold the replicas, every node above the one of its two children whose next step starts
first, the lower number among equals; the root is node 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.fleet.simulator.numba_support import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.simulator.state import State


def tree(replicas: int) -> NDArray[np.int64]:
    """The tree before the first event, when nobody has a next step; leaves without a replica repeat the last one."""
    width = 1
    while width < replicas:
        width *= 2
    nodes = np.zeros(2 * width, np.int64)
    nodes[width:] = np.minimum(np.arange(width), replicas - 1)
    for at in range(width - 1, 0, -1):
        nodes[at] = nodes[2 * at]
    return nodes


@compiled
def reseat(state: State, g: int, next_s: float) -> None:
    """Set when replica g starts its next step."""
    nodes, replicas = state.race, state.replicas
    replicas[g].next_s = next_s
    at = (nodes.size >> 1) + g
    while at > 1:
        at >>= 1
        left, right = nodes[2 * at], nodes[2 * at + 1]
        nodes[at] = left if replicas[left].next_s <= replicas[right].next_s else right
