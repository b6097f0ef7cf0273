"""Looks after a server while requests are under way, so that a crash, a leak or a hang ends the run and nothing else."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import psutil

from deltastack.engine import process
from deltastack.engine.faults import FaultKind
from deltastack.errors import CellError

if TYPE_CHECKING:
    from deltastack.engine.process import Running


class Guard:
    """Called while requests are under way; a reason ends them."""

    def __init__(self, server: Running, *, memory_byte: float, run_s: float) -> None:
        """Look after ``server``, whose processes may hold ``memory_byte`` together and work for ``run_s`` from now."""
        self.server = server
        self.found: CellError | None = None
        """What ended the requests; None as long as all is well."""
        self._memory_byte, self._run_s = memory_byte, run_s
        self._began_s, self._spent_s = time.monotonic(), 0.0

    def resume(self) -> None:
        """Count from here: while other servers had their turns this one had none."""
        self._began_s = time.monotonic() - self._spent_s

    def pause(self) -> None:
        """Other servers have their turns from here on."""
        self._spent_s = time.monotonic() - self._began_s

    def __call__(self) -> str | None:
        """Why the requests must end now, or None."""
        self.found = self._look()
        return None if self.found is None else str(self.found)

    def _look(self) -> CellError | None:
        if not self.server.alive():
            return CellError(FaultKind.CRASHED, f"the server ended under load: {process.last_lines(self.server.log)}")
        if time.monotonic() - self._began_s > self._run_s:
            return CellError(FaultKind.HUNG, f"the run takes longer than limits.run_s, {self._run_s:g} s")
        held = sum(_resident_byte(p) for p in self.server.tree())
        if held > self._memory_byte:
            words = f"the server holds {held / 1e9:.2f} GB, more than limits.memory_byte, {self._memory_byte / 1e9:.2f} GB"
            return CellError(FaultKind.MEMORY, words)
        return None


def _resident_byte(one: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(one.memory_info().rss)
    return 0.0
