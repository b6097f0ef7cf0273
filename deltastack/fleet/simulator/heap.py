"""A binary heap of (key, request) in a slice of an array: smallest key first, then smallest request.

Entries of one heap lie at ``base .. base + size - 1``; the caller keeps the size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.fleet.simulator.numba_support import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENTRY = np.dtype([("key", np.float64), ("request", np.int64)], align=True)
"""A clock time [s] or a count of decode steps (exact up to 2**53), and whose."""


@compiled
def push(heap: NDArray[np.void], base: int, size: int, key: float, request: int) -> None:
    """Add an entry to a heap of ``size`` entries."""
    at = size
    while at > 0:
        parent = (at - 1) >> 1
        above = heap[base + parent]
        if above.key < key or (above.key == key and above.request < request):
            break
        heap[base + at].key = above.key
        heap[base + at].request = above.request
        at = parent
    heap[base + at].key = key
    heap[base + at].request = request


@compiled
def pop(heap: NDArray[np.void], base: int, size: int) -> None:
    """Drop the first entry of a heap of ``size`` entries."""
    last = size - 1
    key = heap[base + last].key
    request = heap[base + last].request
    at = 0
    while 2 * at + 1 < last:
        child = 2 * at + 1
        if child + 1 < last and _before(heap, base + child + 1, base + child):
            child += 1
        below = heap[base + child]
        if key < below.key or (key == below.key and request < below.request):
            break
        heap[base + at].key = below.key
        heap[base + at].request = below.request
        at = child
    heap[base + at].key = key
    heap[base + at].request = request


@compiled
def _before(heap: NDArray[np.void], one: int, other: int) -> bool:
    """Whether the entry at ``one`` comes before the entry at ``other``."""
    first, second = heap[one], heap[other]
    return bool(first.key < second.key or (first.key == second.key and first.request < second.request))


@compiled
def remove(heap: NDArray[np.void], base: int, size: int, request: int) -> float:
    """Take the entry of ``request`` out of a heap of ``size`` entries; its key. The rest is rebuilt: O(size)."""
    at = 0
    while heap[base + at].request != request:
        at += 1
    key = heap[base + at].key
    heap[base + at].key = heap[base + size - 1].key
    heap[base + at].request = heap[base + size - 1].request
    for count in range(at, size - 1):
        push(heap, base, count, heap[base + count].key, heap[base + count].request)
    return float(key)
