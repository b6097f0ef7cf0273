"""The executor of a Dask cluster: what runs, runs on its workers; results and their order are those of every executor.

A task whose worker dies is run again elsewhere, by Dask's own rule at most three times. Every wait has an end: a scheduler
that does not answer, a cluster without a worker, workers of another package are told in one line, and what was finished
before has been told to ``done``.
"""

from __future__ import annotations

import logging
import queue
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from deltastack.errors import ClusterError
from deltastack.fleet.cluster_work import call, here, pack, refuse_other

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

A = TypeVar("A")
B = TypeVar("B")
POLL_S = 1.0
"""How often a silent cluster is asked whether it still has workers."""
WAIT_S = 60.0
"""How long an answer of the scheduler, or the first worker, is waited for."""


def _nothing(item: object, result: object) -> None:
    """Nobody waits for a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The workers behind one scheduler."""

    address: str
    """Of the scheduler: tcp://HOST:PORT, or tls://."""
    root: Path
    """The checkout, whose params travel with the work."""
    wait_s: float = field(default_factory=lambda: WAIT_S)

    def map(self, function: Callable[[A], B], items: Sequence[A], done: Callable[[A, B], None] = _nothing) -> list[B]:
        """As ``Executor.map``.

        Raises:
            ClusterError: No scheduler, no worker, or one that would give other bytes.
        """
        if not items:
            return []
        with self._client() as client:
            self._workers(client, first=True)
            self._alike(client)
            sent = client.submit(_same, pack(function, self.root), pure=False)
            futures = client.map(call, [sent] * len(items), items, pure=False)
            found = dict(self._finished(client, futures, dict(zip(futures, items, strict=True)), done))
            return [_result(found[future.key]) for future in futures]

    @contextmanager
    def _client(self) -> Iterator[Any]:
        import distributed

        connect: Any = distributed.Client
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong is told here, once
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                client = connect(self.address, timeout=self.wait_s, set_as_default=False)
            except (OSError, TimeoutError, ValueError) as error:
                raise ClusterError(
                    f"no Dask scheduler answers at {self.address} within {self.wait_s:g} s ({_line(error)}); "
                    "start one with `dask scheduler`, or unset DELTASTACK_DASK"
                ) from error
        try:
            if other := [w for w in told if issubclass(w.category, distributed.versions.VersionMismatchWarning)]:
                raise ClusterError(f"{self.address} has other versions: {_table(str(other[0].message))}; install the same pins")
            yield client
        finally:
            client.close(timeout=self.wait_s)

    def _workers(self, client: Any, *, first: bool = False) -> int:
        """How many workers there are.

        Raises:
            ClusterError: None came, or the scheduler does not answer.
        """
        try:
            if first:
                client.wait_for_workers(1, timeout=self.wait_s)
            return len(client.sync(client.scheduler.identity, callback_timeout=self.wait_s)["workers"])
        except TimeoutError as error:
            lacks = "has no worker" if first else "does not answer"
            words = f"{lacks} within {self.wait_s:g} s; start one with `dask worker {self.address}`"
            raise ClusterError(f"the Dask scheduler at {self.address} {words}") from error
        except OSError as error:
            raise self._gone(error) from error

    def _alike(self, client: Any) -> None:
        """Ask every worker what it would compute with, before anything is sent.

        Raises:
            ClusterError: One cannot tell, or would give other bytes.
        """
        try:
            ask = client._run  # noqa: SLF001 - `run` itself waits without an end
            found = client.sync(ask, here, on_error="return", callback_timeout=self.wait_s)
        except (TimeoutError, OSError) as error:
            raise ClusterError(
                f"{self.address}: not every worker answers within {self.wait_s:g} s; stop those that hang"
            ) from error
        mine = here()
        for name, there in sorted(found.items()):
            if isinstance(there, OSError):
                continue  # it went away while it was asked
            if isinstance(there, Exception):
                raise ClusterError(
                    f"worker {name} cannot run deltastack ({_line(there)}); install the same wheel on every worker"
                )
            refuse_other(there, mine, name)

    def _finished(
        self, client: Any, futures: Sequence[Any], items: dict[Any, A], done: Callable[[A, B], None]
    ) -> Iterator[tuple[str, Any]]:
        """Key and outcome of each future as it comes: its result, or the error that its function raised."""
        ready: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for future in futures:
            future.add_done_callback(ready.put)
        left, alone_s = len(futures), time.monotonic()
        while left:
            try:
                future = ready.get(timeout=POLL_S)
            except queue.Empty:
                alone_s = self._not_alone(client, alone_s)
                continue
            try:
                outcome = self._outcome(future)
            except TimeoutError:  # its worker died with the result, which is computed again
                future.add_done_callback(ready.put)
                continue
            if not isinstance(outcome, _Failed):
                done(items[future], outcome)
            left, alone_s = left - 1, time.monotonic()
            yield future.key, outcome

    def _not_alone(self, client: Any, since_s: float) -> float:
        """Now if there are workers, else when there last were some.

        Raises:
            ClusterError: There has been none for too long.
        """
        now_s = time.monotonic()
        if self._workers(client):
            return now_s
        if now_s - since_s > self.wait_s:
            raise ClusterError(
                f"the Dask scheduler at {self.address} has lost its last worker, and none came within {self.wait_s:g} s; "
                f"start one with `dask worker {self.address}` and run again: what is finished is kept"
            )
        return since_s

    def _outcome(self, future: Any) -> Any:
        """What a future holds.

        Raises:
            ClusterError: The cluster failed it, not its function.
            TimeoutError: Its result is gone, and is computed again.
        """
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        try:
            return future.result(timeout=self.wait_s)
        except ClusterError:
            raise
        except TimeoutError as error:
            if future.status != "error":
                raise
            return _Failed(error)
        except KilledWorker as error:
            raise ClusterError(
                f"{self.address}: every worker that ran one of the tasks died ({_line(error)}); "
                "look for too little memory, or another wheel"
            ) from error
        except CancelledError as error:
            raise self._gone(error) from error
        except Exception as error:  # noqa: BLE001 - the function's own, raised for the first item that failed
            return _Failed(error)

    def _gone(self, error: BaseException) -> ClusterError:
        return ClusterError(
            f"the Dask scheduler at {self.address} is gone ({_line(error)}); start it and run again: what is finished is kept"
        )


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


def _result(outcome: Any) -> Any:
    if isinstance(outcome, _Failed):
        raise outcome.error
    return outcome


def _same(sent: Any) -> Any:
    """A task of its own, so that the scheduler can send it to a worker again when another one dies with it."""
    return sent


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _table(words: str) -> str:
    """The rows of Dask's table of versions in one line."""
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in words.splitlines() if line.startswith("|")]
    head, *rest = rows or [[""]]
    return "; ".join(f"{row[0]} {', '.join(f'{h} {c}' for h, c in zip(head[1:], row[1:], strict=False))}" for row in rest)
