"""Where independent pieces of work run: one after the other, in threads, in processes of this machine, or on a Dask cluster.

Every executor gives the same results in the same order; only the time differs. Work for processes has to be picklable: the
function travels to each process once, items one by one.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from deltastack.errors import ParamsError, PreflightError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

VARIABLE = "DELTASTACK_DASK"
"""The environment's word for the scheduler of a Dask cluster; it comes before params/stack.yaml."""
ADDRESS = re.compile(r"(tcp|tls)://\S+:\d+")
A = TypeVar("A")
B = TypeVar("B")


def _nothing(item: object, result: object) -> None:
    """Nobody waits for a result."""


class Executor(Protocol):
    """Runs a function over items."""

    def map(self, function: Callable[[A], B], items: Sequence[A], done: Callable[[A, B], None] = _nothing) -> list[B]:
        """The results in the order of ``items``.

        Args:
            function: What is run.
            items: Over what.
            done: Called here with an item and its result as soon as the result is there, in any order, from any thread.

        Raises:
            Exception: Whatever ``function`` raised for the first item that failed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Serial:
    """One after the other, here."""

    def map(self, function: Callable[[A], B], items: Sequence[A], done: Callable[[A, B], None] = _nothing) -> list[B]:
        """As ``Executor.map``."""
        return [_told(function, done, item) for item in items]


@dataclass(frozen=True, slots=True)
class Threads:
    """In threads of this process; the simulator runs without the interpreter's lock."""

    count: int = 2

    def map(self, function: Callable[[A], B], items: Sequence[A], done: Callable[[A, B], None] = _nothing) -> list[B]:
        """As ``Executor.map``."""
        with ThreadPoolExecutor(max_workers=self.count) as pool:
            return list(pool.map(partial(_told, function, done), items))


@dataclass(frozen=True, slots=True)
class Processes:
    """In processes of this machine, each started afresh: no lock or thread of this one travels with it."""

    count: int = 2

    def map(self, function: Callable[[A], B], items: Sequence[A], done: Callable[[A, B], None] = _nothing) -> list[B]:
        """As ``Executor.map``."""
        spawned = get_context("spawn")
        with ProcessPoolExecutor(self.count, mp_context=spawned, initializer=_keep, initargs=(function,)) as pool:
            running = {pool.submit(_call, item): item for item in items}
            for one in as_completed(running):
                if one.exception() is None:
                    done(running[one], one.result())
            return [one.result() for one in running]


def chosen(root: Path, name: str = "threads") -> Executor:
    """The executor of that name, unless the environment names a cluster.

    Args:
        root: The checkout, whose params travel to a cluster.
        name: ``executor`` of params/stack.yaml: ``threads``, ``processes``, or the address of a Dask scheduler.

    Raises:
        ParamsError: No such executor.
        PreflightError: A cluster, and Dask is not installed here.
    """
    asked = os.environ.get(VARIABLE) or name
    if asked in LOCAL:
        return LOCAL[asked]
    if ADDRESS.fullmatch(asked) is None:
        where = VARIABLE if os.environ.get(VARIABLE) else "params/stack.yaml: executor"
        raise ParamsError(
            f"{where}: no executor '{asked}'; there are: {', '.join(LOCAL)}, or tcp://HOST:PORT of a Dask scheduler"
        )
    if find_spec("distributed") is None:
        raise PreflightError(f"{asked}: Dask is not installed here; pip install 'deltastack[cluster]'")
    from deltastack.fleet.cluster import Cluster

    return Cluster(address=asked, root=root)


LOCAL: dict[str, Executor] = {"threads": Threads(), "processes": Processes()}


def _told(function: Callable[[A], B], done: Callable[[A, B], None], item: A) -> B:
    result = function(item)
    done(item, result)
    return result


_KEPT: list[Callable[[Any], Any]] = []
"""The function of this process, if it is one of ``Processes``."""


def _keep(function: Callable[[Any], Any]) -> None:
    _KEPT[:] = [function]


def _call(item: Any) -> Any:
    return _KEPT[0](item)
