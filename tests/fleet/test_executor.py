"""Every executor gives the same results in the same order."""

from __future__ import annotations

import pytest

from deltastack.fleet.executor import Executor, Processes, Serial, Threads


def reciprocal(x: int) -> float:
    """1 / x."""
    return 1 / x


@pytest.mark.parametrize("executor", [Serial(), Threads(3), Processes(2)])
def test_results_come_in_order(executor: Executor) -> None:
    """Forty numbers one way or another; nothing is nothing."""
    assert list(executor.map(reciprocal, range(1, 41))) == [1 / x for x in range(1, 41)]
    assert list(executor.map(reciprocal, [])) == []


@pytest.mark.parametrize("executor", [Serial(), Threads(2), Processes(2)])
def test_a_failure_is_raised_in_its_place(executor: Executor) -> None:
    """What comes before it is there; then its own error."""
    results = executor.map(reciprocal, [1, 2, 0, 4])

    assert [next(results), next(results)] == [1.0, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)
