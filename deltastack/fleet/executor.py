"""Where independent pieces of work run: one after the other, in threads, or in processes of this machine.

Every executor gives the same results in the same order; only the time differs. Work for processes has to be picklable: the
function travels to each process once, items one by one.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

A = TypeVar("A")
B = TypeVar("B")


class Executor(Protocol):
    """Runs a function over items."""

    def map(self, function: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
        """The results in the order of ``items``, each as soon as it and those before it are there."""
        ...


@dataclass(frozen=True, slots=True)
class Serial:
    """One after the other, here."""

    def map(self, function: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
        """As ``Executor.map``."""
        return map(function, items)


@dataclass(frozen=True, slots=True)
class Threads:
    """In threads of this process; the simulator runs without the interpreter's lock."""

    count: int = 2

    def map(self, function: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
        """As ``Executor.map``."""
        with ThreadPoolExecutor(max_workers=self.count) as pool:
            yield from pool.map(function, items)


@dataclass(frozen=True, slots=True)
class Processes:
    """In processes of this machine, each started afresh: no lock or thread of this one travels with it."""

    count: int = 2

    def map(self, function: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
        """As ``Executor.map``."""
        spawned = get_context("spawn")
        with ProcessPoolExecutor(self.count, mp_context=spawned, initializer=_keep, initargs=(function,)) as pool:
            yield from pool.map(_call, items)


_KEPT: list[Callable[[Any], Any]] = []
"""The function of this process, if it is one of ``Processes``."""


def _keep(function: Callable[[Any], Any]) -> None:
    _KEPT[:] = [function]


def _call(item: Any) -> Any:
    return _KEPT[0](item)
