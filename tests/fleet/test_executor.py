"""Every executor gives the same results in the same order."""

from __future__ import annotations

import pytest

from deltastack.fleet.executor import Executor, Processes, Serial, Threads


def reciprocal(x: int) -> float:
    """1 / x."""
    return 1 / x


@pytest.mark.parametrize("executor", [Serial(), Threads(3), Processes(2)])
def test_results_come_in_order(executor: Executor) -> None:
    """Forty numbers one way or another; nothing is nothing; every one is told once, when it is there."""
    told: list[tuple[int, float]] = []
    found = executor.map(reciprocal, range(1, 41), lambda item, result: told.append((item, result)))

    assert found == [1 / x for x in range(1, 41)]
    assert sorted(told) == [(x, 1 / x) for x in range(1, 41)]
    assert executor.map(reciprocal, []) == []


@pytest.mark.parametrize("executor", [Serial(), Threads(2), Processes(2)])
def test_a_failure_is_raised(executor: Executor) -> None:
    """Its own error; what came before it was told."""
    told: list[int] = []

    with pytest.raises(ZeroDivisionError):
        executor.map(reciprocal, [1, 2, 0, 4], lambda item, _: told.append(item))
    assert {1, 2} <= set(told)
