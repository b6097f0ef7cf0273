"""One server of a run, step by step: start, read back, warm up, take turns under the meter, rest, read again, stop."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from deltastack.engine import loading, meters, readback
from deltastack.engine.guard import Guard
from deltastack.engine.meters import ServerMeter, Spent

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from deltastack.engine.asking import Request
    from deltastack.engine.cells import Cell
    from deltastack.engine.client import Record
    from deltastack.engine.loading import Setup
    from deltastack.engine.process import Running
    from deltastack.engine.readback import Resolved
    from deltastack.engine.techniques import Call
    from deltastack.experiment.plan import Slot


class Visit:
    """A server that is up for one run of one cell. Every step may raise a ``CellError``; ``stop`` ends it after any of them."""

    def __init__(self, at: Setup, slot: Slot, cell: Cell, *, shared: bool, ask: bool) -> None:
        """Nothing runs yet.

        Args:
            at: What all runs share.
            slot: The run.
            cell: Its cell, resolved.
            shared: Further servers are up beside it.
            ask: Put the questions too, after the load.
        """
        self.at, self.slot, self.cell, self.shared, self.ask = at, slot, cell, shared, ask
        self.records: tuple[Record, ...] = ()
        self.answered: tuple[Record, ...] = ()
        self.load, self.gap = Spent(), Spent()
        self.start_figures: dict[str, float] = {}
        self.found: Resolved = {}
        self.before: Resolved = {}
        self.after: Resolved = {}
        self._open, self._resting = contextlib.ExitStack(), contextlib.ExitStack()

    def start(self, serving: Callable[[], AbstractContextManager[Running]]) -> None:
        """Start the server, and refuse one in which a switch did not take."""
        self.server = self._open.enter_context(serving())
        at = self.at
        self.guard = Guard(self.server, memory_byte=at.memory_byte, run_s=at.engine.limits.run_s)
        self.found = readback.settled(self.server, self.cell, at.engine.sources, at.headers)
        readback.require(self.cell, self.found)
        self.start_figures = started(self.server)

    def warm(self) -> None:
        """Ask what warms up, and throw it away."""
        loading.asked(self.at, self.cell, self.at.asked.warm, self.guard)

    def begin(self) -> None:
        """Clear the caches, and read the counters."""
        for one in self.at.engine.clear:
            readback.call(self.server, one, self.at.headers)
        self.before = self._counted()
        self.meter = ServerMeter(self.server, shared=self.shared)

    def turn(self, some: tuple[Request, ...]) -> None:
        """One part of the load under the meter."""
        at, own = self.at, self.at.engine.load.generator == "client"
        with self.meter.turn() as spent:
            self.records += loading.asked(at, self.cell, some, self.guard) if own else loading.driven(at, self.cell, self.guard)
        self.load = self.load.plus(spent)

    def rest(self) -> None:
        """The idle gap begins; what puts the server to sleep is part of it."""
        self.gap = self._resting.enter_context(self.meter.window("gap"))
        self._called(self.cell.sleep)

    def wake(self) -> None:
        """The idle gap ends; what wakes the server is part of it."""
        self._called(self.cell.wake)
        self._resting.close()

    def end(self) -> None:
        """Read the counters again."""
        self.after, self.load = self._counted(), self.meter.whole(self.load)

    def question(self) -> None:
        """Put the questions, if they are wanted."""
        if self.ask and self.at.questions:
            self.answered = loading.asked(self.at, self.cell, self.at.questions, self.guard)

    def stop(self) -> None:
        """End the server, whatever came before."""
        with self._open:
            self._resting.close()

    def _counted(self) -> Resolved:
        return readback.resolved(self.server, readback.needed(self.at.engine), self.at.headers)

    def _called(self, some: tuple[Call, ...]) -> None:
        for one in some:
            readback.call(self.server, one, self.at.headers)


def started(server: Running) -> dict[str, float]:
    """What the start took: seconds until healthy and, of a server that was started here, processor seconds and memory."""
    if server.root is None:
        return {"ready_s": server.ready_s}
    return {"ready_s": server.ready_s, "start_cpu_s": meters.cpu_s(server), "start_memory_byte": meters.memory_byte(server)}
