"""The pieces of the loop, each against its slow twin."""

from __future__ import annotations

import heapq
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltastack.fleet.simulator import numba_support
from deltastack.fleet.simulator.grids import read
from deltastack.fleet.simulator.heap import ENTRY, pop, push, remove
from deltastack.fleet.simulator.kernels import run_s, steps_before, walk

positive = st.floats(1e-4, 10.0)


def test_read_by_hand() -> None:
    """1 ms at 2 tokens and 3 ms at 4: 1, 1, 1, 2, 3, 4 ms at 0 .. 5; a lone point is a constant."""
    assert read(np.array([2, 4]), np.array([1e-3, 3e-3]), np.arange(6)).tolist() == pytest.approx(
        [1e-3, 1e-3, 1e-3, 2e-3, 3e-3, 4e-3]
    )
    assert read(np.array([7]), np.array([5.0]), np.arange(3)).tolist() == [5.0, 5.0, 5.0]


def test_steps_before_by_hand() -> None:
    """Steps of 1, 2, 3 s start at 0, 1, 3 and 6 s: 2 start before 3 s, 3 before 3.5 s, 1 before 0.5 s; they last 6 s."""
    assert [steps_before(x, 1.0, 1.0) for x in (3.0, 3.5, 0.5)] == [2, 3, 1]
    assert run_s(3, 1.0, 1.0) == 6.0


@settings(deadline=None)
@given(positive, st.floats(0, 0.1), st.floats(1e-3, 20.0))
def test_steps_before_counts_starts(first_s: float, growth_s: float, x_s: float) -> None:
    """The closed form counts the step starts that a loop counts."""
    ends = [*accumulate(first_s + growth_s * j for j in range(int(x_s / first_s) + 2))]
    want = 1 + sum(end < x_s for end in ends)

    got = steps_before(x_s, first_s, growth_s)

    assert got == want or min(abs(end - x_s) for end in ends) < 1e-9 * x_s


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["push", "pop", "remove"]), st.integers(0, 9)), max_size=60))
def test_heap_is_heapq(moves: list[tuple[str, int]]) -> None:
    """Pushes, pops and removals leave what Python's heapq leaves, in a slice that starts at 5."""
    heap, want = np.zeros(70, ENTRY), []
    for request, (move, key) in enumerate(moves):
        if move == "push":
            push(heap, 5, len(want), float(key), request)
            heapq.heappush(want, (float(key), request))
        elif want and move == "pop":
            assert tuple(heap[5]) == want[0]
            pop(heap, 5, len(want))
            heapq.heappop(want)
        elif want:
            gone = want.pop(key % len(want))
            heapq.heapify(want)
            assert remove(heap, 5, len(want) + 1, gone[1]) == gone[0]
        assert not want or tuple(heap[5]) == want[0]

    assert sorted(map(tuple, heap[5 : 5 + len(want)])) == sorted(want)


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=8, unique=True), st.floats(-5, 60), st.integers(0, 6))
def test_walk_finds_the_segment(points: list[int], x: float, start: int) -> None:
    """From any start the walk ends where a search would."""
    grid = np.array(sorted(points), dtype=float)

    got = walk(grid, x, min(start, grid.size - 2))

    assert got == min(max(int(np.searchsorted(grid, x, side="right")) - 1, 0), grid.size - 2)


def test_the_cache_depends_on_every_module() -> None:
    """If you are here because this failed: numba caches by one file only; ``numba_support.entry`` must stamp what it caches."""
    from deltastack.fleet.simulator.loop import run

    assert run._cache._cache_file.stamp == numba_support._stamp()
