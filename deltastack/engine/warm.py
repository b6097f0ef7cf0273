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
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

from deltastack.engine import process
from deltastack.engine.consistency import filled
from deltastack.engine.faults import FaultKind
from deltastack.errors import CellError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deltastack.engine.declaration import Engine, Start, Warm
    from deltastack.engine.process import Command, Running

_ZYGOTE = Path(__file__).with_name("zygote.py")
_GRACE_S = 10.0
_FORK_S = 60.0


class Source:
    """Starts servers: as forks of one warm import where the declaration has one, else each as a process of its own."""

    def __init__(self, engine: Engine, root: Path, folder: Path) -> None:
        """Start nothing yet; logs go to ``folder``."""
        self._engine, self._root, self._folder = engine, root, folder
        self._keeper: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the zygote and everything below it."""
        self._lose()

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
        self._start(start, start.warm)
        log.parent.mkdir(parents=True, exist_ok=True)
        order = {"arguments": command.arguments, "environment": dict(command.environment), "log": str(log)}
        pid = int(self._ask(order, _FORK_S)["pid"])
        try:
            yield process.ready(psutil.Process(pid), lambda: self._status(pid), command.address, engine.health, log, headers)
        finally:
            self._end()
        process.refuse_left(pid, command.address)

    def _start(self, start: Start, warm: Warm) -> None:
        """Start the zygote and await its import, if none runs.

        Raises:
            CellError: It ended, or did not finish its import in time.
        """
        if self._keeper is not None and self._keeper.poll() is None:
            return
        self._lose()
        words = self._engine.values | {k: str(self._root / v) for k, v in self._engine.files.items()} | {"root": str(self._root)}
        mine, its = socket.socketpair()
        python = filled(warm.python, words)
        arguments = (python, "-P", str(_ZYGOTE), str(its.fileno()), warm.main, *warm.modules)
        environment = {k: filled(v, words) for k, v in start.environment.items()}
        self._folder.mkdir(parents=True, exist_ok=True)
        with its, self._log.open("wb") as out:
            self._keeper = process.kept(arguments, environment, self._engine.stop, out.fileno(), (its.fileno(),))
        self._control = mine
        found = self._answer(warm.within_s)
        if found["threads"] != 1:
            self._lose()
            raise CellError(FaultKind.REFUSED, f"importing {warm.main} started {found['threads'] - 1} threads, which no fork has")

    @property
    def _log(self) -> Path:
        return self._folder / "zygote.log"

    def _ask(self, order: Mapping[str, Any], within_s: float) -> dict[str, Any]:
        if self._control is None:
            raise CellError(FaultKind.CRASHED, f"the warm import is gone: {process.last_lines(self._log)}")
        with contextlib.suppress(OSError):  # the answer will not come, which says more
            self._control.sendall(json.dumps(order).encode() + b"\n")
        return self._answer(within_s)

    def _answer(self, within_s: float) -> dict[str, Any]:
        """The zygote's next line.

        Raises:
            CellError: It ended, or gave none in time; it is gone then.
        """
        assert self._control is not None
        found = b""
        try:
            self._control.settimeout(within_s)
            while not found.endswith(b"\n"):
                part = self._control.recv(4096)
                if not part:
                    break
                found += part
        except OSError:
            found = b""
        if not found:
            self._lose()
            raise CellError(FaultKind.REFUSED, f"the warm import gave no answer: {process.last_lines(self._log)}")
        answer: dict[str, Any] = json.loads(found)
        return answer

    def _status(self, pid: int) -> int | None:
        """The status of a child that has ended by itself."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                return None
        status = self._end()
        return -1 if status is None else status

    def _end(self) -> int | None:
        """End the child and everything below it; its status, where it had ended before."""
        stop = self._engine.stop
        if self._control is None:
            return None
        try:
            found = self._ask({"end": stop.signal, "within_s": stop.within_s}, stop.within_s + _GRACE_S)
        except CellError:
            return None  # the zygote is gone, and its keeper has ended everything below it
        return None if found["status"] is None else int(found["status"])

    def _lose(self) -> None:
        """End the zygote, if there is one: its keeper ends everything below it."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._keeper is None:
            return
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        try:
            self._keeper.wait(self._engine.stop.within_s + _GRACE_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._keeper.pid, signal.SIGKILL)
            self._keeper.wait()
        self._keeper = None
