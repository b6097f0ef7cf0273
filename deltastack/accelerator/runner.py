"""Runs cells on a server: one metered window a run, and a null with its reason for a cell that this device cannot run.

A cell that fails is left out and the others go on. After an error that ends the device's context every later call would fail:
then the process ends too, and its mark tells the next one which cell to leave out.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deltastack.accelerator import energy
from deltastack.accelerator.session import PHASES, Served, Server
from deltastack.accelerator.settings import Switched
from deltastack.experiment.ledger import Entry
from deltastack.experiment.meter import Quantity, Reading
from deltastack.experiment.plan import plain
from deltastack.model import Component, Resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deltastack.accelerator.cold import ColdStart
    from deltastack.accelerator.energy import Board, Energy
    from deltastack.experiment.plan import Slot

BASE = "base"
COMPONENTS = {
    "restore": Component.STORAGE,
    "encode": Component.ENCODER,
    "prefill": Component.OTHER,
    "decode": Component.OTHER,
}
"""Attention and feed-forward run beside each other in some cells, so the decoder is one component."""
SHORTEST_S = 1.0
"""Of a window in which joules are read; a session of less is repeated."""


@dataclass(slots=True)
class Marks:
    """What the processes of a measurement tell each other of cells that fail, in two small files."""

    folder: Path

    def failed(self) -> dict[str, str]:
        """Reason by cell."""
        path = self.folder / "failed.json"
        found: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
        return found

    def fail(self, cell: str, reason: str) -> None:
        """Write a failure down."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "failed.json").write_text(json.dumps(self.failed() | {cell: reason}))

    def trying(self, cell: str | None) -> None:
        """What is tried now; None: nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "trying").write_text(cell or "")

    def blame(self, reason: str) -> str | None:
        """After a process died: the cell that it tried, now written down as failed; None where it tried none."""
        path = self.folder / "trying"
        cell = path.read_text() if path.is_file() else ""
        if not cell:
            return None
        self.fail(cell, reason)
        self.trying(None)
        return cell


@dataclass(slots=True)
class Runner:
    """Runs slots on a server, and compares answers with the base's."""

    server: Server
    marks: Marks
    switched: Callable[[str], Switched]
    cold: ColdStart | None = None
    _board: Board | None = None
    _why: str | None = None
    _base: Served | None = field(default=None)
    _failed: dict[str, str] = field(default_factory=dict)

    def prepare(self, cells: tuple[str, ...]) -> None:
        """Make every cell ready; one that fails is left out, with its reason.

        Raises:
            RuntimeError: The device answers no more.
        """
        self._failed = self.marks.failed()
        for cell in sorted(cells, key=lambda c: self.switched(c).partitioned):  # what may break a capture comes last
            self._guarded(cell, lambda c=cell: self._make(c))  # type: ignore[misc]
        there = {self.switched(c).model for c in cells if c not in self._failed and not c.startswith("@")}
        for on in {
            (o.placed, o.apart, o.batches, o.partitioned): o for o in there
        }.values():  # capturing a graph gave back what lanes had
            self.server.warm(on)

    def settle(self) -> None:
        """Run the base twice: its answers are the reference."""
        self._board, self._why = energy.open_board() if self.server.device.cuda else (None, "a processor: no board to read")
        self.server.run(Switched())
        self._base = self.server.run(Switched())

    def __call__(self, slot: Slot) -> Entry:
        """One window of one cell.

        Raises:
            RuntimeError: The device answers no more.
        """
        cell, found = plain(slot.cell), list[Entry]()
        self._guarded(cell, lambda: found.append(self._run(slot, cell)))
        return found[0] if found else absent(slot, self._failed[cell])

    def _make(self, cell: str) -> None:
        if cell.startswith("@"):
            assert self.cold is not None  # noqa: S101 - such cells come with it
            self.cold.prepare()
            self.cold.load(cell)
        else:
            self.server.prepare(self.switched(cell))

    def _guarded(self, cell: str, do: Callable[[], None]) -> None:
        """``do`` for a cell that has not failed; an error is its reason, unless the device is lost."""
        if cell in self._failed:
            return
        self.marks.trying(cell)
        try:
            do()
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'no message'}"
            if not self.server.device.healthy():
                raise
            self._failed[cell] = reason
            self.marks.fail(cell, reason)
            if not cell.startswith("@"):
                self.server.drop(self.switched(cell))
        self.marks.trying(None)

    def _run(self, slot: Slot, cell: str) -> Entry:
        if cell.startswith("@"):
            return self._load(slot, cell)
        on, found = self.switched(cell), list[Served]()
        self.server.ready(on)
        self.server.device.forget_peak()
        shortest = SHORTEST_S if self._board is not None else 0.0

        def work() -> None:
            began = time.perf_counter()
            while not found or time.perf_counter() - began < shortest:
                found.append(self.server.run(on))

        return self._entry(slot, found, energy.metered(self._board, self._why, work))

    def _load(self, slot: Slot, cell: str) -> Entry:
        """One cold start: its seconds belong to storage."""
        assert self.cold is not None  # noqa: S101 - such cells come with it
        load = self.cold.load
        read = energy.metered(self._board, self._why, lambda: _nothing(load(cell)))
        spent = {str(Component.STORAGE): _amounts(read.seconds, read.joules)}
        readings = {Quantity.WALL_S: Reading(read.seconds, "waits for the device"), Quantity.ENERGY_J: _joules(read, 1)}
        figures = {"byte_per_s": self.cold.byte / read.seconds}
        return Entry(slot=slot, readings=readings, components=spent, quality=figures)

    def _entry(self, slot: Slot, found: list[Served], read: Energy) -> Entry:
        n = len(found)
        phases = {p: sum(s.seconds[p] for s in found) / n for p in PHASES}
        total = sum(phases.values())
        seconds: dict[str, float] = {}
        for phase, component in COMPONENTS.items():
            seconds[str(component)] = seconds.get(str(component), 0.0) + phases[phase]
        joules = None if read.joules is None else read.joules / n
        spent = {c: _amounts(s, None if joules is None else joules * s / total) for c, s in seconds.items()}
        byte = self.server.device.memory_byte()
        readings = {
            Quantity.WALL_S: Reading(total, "waits for the device around each phase"),
            Quantity.ENERGY_J: _joules(read, n),
            Quantity.MEMORY_PEAK_BYTE: Reading(byte, "torch's allocator", None if byte is not None else "a processor"),
        }
        return Entry(slot=slot, readings=readings, components=spent, quality=self._figures(phases, found[-1], read, n))

    def _figures(self, phases: dict[str, float], served: Served, read: Energy, sessions: int) -> dict[str, float]:
        """Seconds by phase, agreement of answers with the base's, clock and throttling."""
        assert self._base is not None  # noqa: S101 - ``settle`` has run
        there = served.first >= 0
        told = {f"{name}_s": seconds for name, seconds in phases.items()}
        told["sessions"] = float(sessions)
        told["fused"] = float(self.server.decoder.clusters.unfused is None)
        told["agreement_last"] = float((served.tokens == self._base.tokens).float().mean())
        told["agreement_first"] = float((served.first == self._base.first)[there].float().mean())
        if read.clock_hz is not None:
            told |= {"clock_hz": read.clock_hz, "throttled": float(bool(read.throttled)), "capped": float(bool(read.capped))}
        return told


def absent(slot: Slot, reason: str) -> Entry:
    """A run that this device cannot make: nulls with their reason."""
    readings = {q: Reading(None, "none", reason) for q in (Quantity.WALL_S, Quantity.ENERGY_J, Quantity.MEMORY_PEAK_BYTE)}
    return Entry(slot=slot, readings=readings, components={}, quality={})


def _amounts(seconds: float, joules: float | None) -> dict[str, float]:
    return {str(Resource.TIME_S): seconds} | ({} if joules is None else {str(Resource.ENERGY_J): joules})


def _joules(read: Energy, sessions: int) -> Reading:
    return Reading(None if read.joules is None else read.joules / sessions, "NVML", read.reason)


def _nothing(_: object) -> None:
    """Let go of an answer."""
