"""The processes that a run has started, so that a cancelled run leaves none behind; and whose turn it is."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from deltastack.errors import StageError
from tasks import stage_runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

WAITING = "another run holds the graph, waiting"
_HOLDING: set[Path] = set()

GRACE_S = 3.0
"""How long DVC has, after an interrupt, to release its files before it is killed."""


class Live:
    """Process groups by the id of their leader; once stopping, no new one starts."""

    def __init__(self) -> None:
        """Start with none."""
        self._running: dict[int, subprocess.Popen[str]] = {}
        self._guard = threading.Lock()
        self.stopping = False

    @contextmanager
    def start(self, command: list[str], *, cwd: Path, env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
        """Start ``command`` in a process group of its own, stdout and stderr as one pipe of lines.

        Raises:
            StageError: The run is being cancelled.
        """
        with self._guard:
            if self.stopping:
                raise StageError("not started: the run is being cancelled")
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running[process.pid] = process
        try:
            yield process
        except BaseException:
            _signal(process, signal.SIGKILL)
            raise
        finally:
            with process:  # closes the pipe and waits
                pass
            with self._guard:
                self._running.pop(process.pid, None)

    def stop(self) -> int:
        """Interrupt every group, kill what is left after the grace, refuse new ones; how many there were."""
        with self._guard:
            self.stopping = True
            running = list(self._running.values())
        for process in running:
            _signal(process, signal.SIGINT)
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_S / len(running))
        for process in running:
            _signal(process, signal.SIGKILL)
        return len(running)

    def reset(self) -> None:
        """Allow new processes again: a new run begins."""
        with self._guard:
            self.stopping = False


def _signal(process: subprocess.Popen[str], number: int) -> None:
    """Signal the whole group, the leader's orphans too."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


LIVE = Live()


@contextmanager
def turn(root: Path, say: Callable[[str], object]) -> Iterator[None]:
    """Hold the graph of the checkout at ``root`` for one run; a caller further up that holds it already is enough."""
    if root in _HOLDING:
        yield
        return
    with stage_runner.lock(root / ".run" / "locks" / "graph.lock", WAITING, say):
        _HOLDING.add(root)
        try:
            yield
        finally:
            _HOLDING.discard(root)
