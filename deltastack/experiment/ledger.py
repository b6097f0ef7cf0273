"""The ledger: one line a run, on disk before the next run starts.

A kill loses at most the run that was under way: the ledger is append-only JSON lines, each flushed and synced, and a
line that was cut off is dropped on reading. A ledger belongs to one plan, one set of parameters and one host; what
was written under another key is refused, never mixed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltastack.contracts.lines import Lines
from deltastack.errors import EvidenceError
from deltastack.experiment.meter import Quantity, Reading
from deltastack.experiment.plan import Kind, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One finished run: its slot, what the meter read, and what the cell itself reported (by component)."""

    slot: Slot
    readings: Mapping[Quantity, Reading]
    components: Mapping[str, Mapping[str, float]]
    """Component to resource to amount, as the engine timed it."""
    quality: Mapping[str, float]
    """Per-run quality figures (hits, requests, divergence) that the cell reported."""


class Ledger:
    """Append-only record of the runs of one plan."""

    def __init__(self, path: Path, key: str) -> None:
        """Open the ledger at ``path`` for ``key`` (a hash of plan, parameters, code and host).

        Raises:
            EvidenceError: The file belongs to another key.
        """
        self._path, self._lines = path, Lines(path, key)
        self._entries = {e.slot.key: e for e in map(_from_json, self._lines.there)}

    def entries(self) -> tuple[Entry, ...]:
        """Every finished run, in the order it was written."""
        return tuple(self._entries.values())

    def has(self, slot: Slot) -> bool:
        """Whether this run is already there."""
        return slot.key in self._entries

    def add(self, entry: Entry) -> None:
        """Write one run through to the disk.

        Raises:
            EvidenceError: It is already there: a run is never overwritten.
        """
        if self.has(entry.slot):
            raise EvidenceError(f"run {entry.slot.key} is already in {self._path.name}: a run is never overwritten")
        self._lines.append(_as_json(entry))
        self._entries[entry.slot.key] = entry


def _as_json(entry: Entry) -> dict[str, Any]:
    s = entry.slot
    return {
        "slot": [s.start, s.block, s.position, s.cell, s.kind],
        "readings": {q: list(r) for q, r in entry.readings.items()},
        "components": {c: dict(v) for c, v in entry.components.items()},
        "quality": dict(entry.quality),
    }


def _from_json(value: dict[str, Any]) -> Entry:
    start, block, position, cell, kind = value["slot"]
    return Entry(
        slot=Slot(start=start, block=block, position=position, cell=cell, kind=Kind(kind)),
        readings={Quantity(q): Reading(*r) for q, r in value["readings"].items()},
        components=value["components"],
        quality=value["quality"],
    )
