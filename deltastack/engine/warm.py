"""Servers that are forks of one warm import: the bench's side of ``zygote``.

The zygote is started with the first cell and again where it was lost; a child that dies, hangs or leaks is ended with everything
below it, as any other server is. Its process tree, its log, its address and its end are a server's.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

from deltastack.engine import process
from deltastack.engine.consistency import filled
from deltastack.engine.faults import FaultKind
from deltastack.errors import CellError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from deltastack.engine.declaration import Engine, Start, Stop, Warm
    from deltastack.engine.process import Command, Running

_ZYGOTE = Path(__file__).with_name("zygote.py")
_GRACE_S = 10.0
_FORK_S = 60.0


class Source:
    """Starts servers: as forks of one warm import where the declaration has one, else each as a process of its own."""

    def __init__(self, engine: Engine, root: Path, folder: Path) -> None:
        """Start nothing yet; logs go to ``folder``."""
        self._engine, self._root, self._folder = engine, root, folder
        self._zygote: _Zygote | None = None
        self._scratch: tempfile.TemporaryDirectory[str]
        """Where the zygote and its forks put temporary files, such as sockets of a server that was killed."""

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the zygote and everything below it."""
        if self._zygote is not None:
            self._zygote.close()
            self._scratch.cleanup()

    @contextlib.contextmanager
    def running(self, start: Start, command: Command, log: Path, headers: Mapping[str, str]) -> Iterator[Running]:
        """The server of ``command``, healthy; its process tree is ended on the way out.

        Raises:
            CellError: As ``process.running``.
        """
        engine = self._engine
        if start.warm is None:
            with process.running(command, engine.health, engine.stop, log, headers) as server:
                yield server
            return
        process.refuse_taken(command.address)
        zygote = self._warm(start, start.warm)
        log.parent.mkdir(parents=True, exist_ok=True)
        pid = zygote.fork({"arguments": command.arguments, "environment": dict(command.environment), "log": str(log)})
        started = process.Started(psutil.Process(pid), lambda: zygote.status(pid), log)
        try:
            yield process.ready(started, command.address, engine.health, headers)
        finally:
            zygote.end()
        process.refuse_left(pid, command.address)

    def _warm(self, start: Start, warm: Warm) -> _Zygote:
        """The zygote; started, and its import awaited, if none runs.

        Raises:
            CellError: It did not finish its import, or left threads.
        """
        if self._zygote is not None and self._zygote.alive():
            return self._zygote
        self.__exit__()
        files = {k: str(self._root / v) for k, v in self._engine.files.items()}
        words = self._engine.values | files | {"root": str(self._root), "python": sys.executable}
        self._scratch = tempfile.TemporaryDirectory(prefix="deltastack-", ignore_cleanup_errors=True)
        environment = {k: filled(v, words) for k, v in start.environment.items()} | {"TMPDIR": self._scratch.name}
        self._folder.mkdir(parents=True, exist_ok=True)
        program = (filled(warm.python, words), "-P", str(_ZYGOTE))
        self._zygote = _Zygote(program, (warm.main, *warm.modules), environment, self._engine.stop, self._folder / "zygote.log")
        self._zygote.imported(warm.within_s)
        return self._zygote


class _Zygote:
    """The process, under a keeper, and the socket to it; nobody else can reach that."""

    def __init__(
        self, program: Sequence[str], words: Sequence[str], environment: Mapping[str, str], stop: Stop, log: Path
    ) -> None:
        self._stop, self._log = stop, log
        self._control, its = socket.socketpair()
        arguments = (*program, str(its.fileno()), *words)
        with its, log.open("wb") as out:
            self._keeper = process.kept(arguments, environment, stop, out.fileno(), (its.fileno(),))

    def alive(self) -> bool:
        """Whether it can fork."""
        return self._keeper.poll() is None and self._control.fileno() >= 0

    def imported(self, within_s: float) -> None:
        """Await the import.

        Raises:
            CellError: It failed, took too long, or left threads, which no fork would have.
        """
        threads = int(self._answer(within_s)["threads"])
        if threads != 1:
            self.close()
            raise CellError(FaultKind.REFUSED, f"the warm import started {threads - 1} threads, which no fork has")

    def fork(self, order: Mapping[str, Any]) -> int:
        """The number of a new child.

        Raises:
            CellError: The zygote is gone.
        """
        return int(self._ask(order, _FORK_S)["pid"])

    def status(self, pid: int) -> int | None:
        """The status of a child that has ended by itself; -1 where nobody knows it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                return None
        found = self.end()
        return -1 if found is None else found

    def end(self) -> int | None:
        """End the child and everything below it; its status, where it had ended before."""
        try:
            order = {"end": self._stop.signal, "within_s": self._stop.within_s}
            found = self._ask(order, self._stop.within_s + _GRACE_S)["status"]
        except CellError:
            return None  # the zygote is gone, and its keeper has ended everything below it
        return None if found is None else int(found)

    def close(self) -> None:
        """End it: its keeper ends everything below it."""
        self._control.close()
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        try:
            self._keeper.wait(self._stop.within_s + _GRACE_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._keeper.pid, signal.SIGKILL)
            self._keeper.wait()

    def _ask(self, order: Mapping[str, Any], within_s: float) -> dict[str, Any]:
        with contextlib.suppress(OSError):  # the answer will not come, which says more
            self._control.sendall(json.dumps(order).encode() + b"\n")
        return self._answer(within_s)

    def _answer(self, within_s: float) -> dict[str, Any]:
        """Its next line.

        Raises:
            CellError: It ended, or gave none in time; it is gone then.
        """
        found = b""
        with contextlib.suppress(OSError):
            self._control.settimeout(within_s)
            while not found.endswith(b"\n") and (part := self._control.recv(4096)):
                found += part
        if not found.endswith(b"\n"):
            self.close()
            raise CellError(FaultKind.REFUSED, f"the warm import gave no answer: {process.last_lines(self._log)}")
        answer: dict[str, Any] = json.loads(found)
        return answer
