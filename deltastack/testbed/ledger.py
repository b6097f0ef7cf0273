"""The ledger: one line a run, on disk before the next run starts.

A kill loses at most the run that was under way: the ledger is append-only JSON lines, each flushed and synced, and a
line that was cut off is dropped on reading. A ledger belongs to one plan, one set of parameters and one host; what
was written under another key is refused, never mixed in.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltastack.errors import EvidenceError
from deltastack.testbed.meter import Quantity, Reading
from deltastack.testbed.plan import Kind, Slot

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
        self._path, self._key = path, key
        self._entries: dict[str, Entry] = {}
        if path.exists():
            self._load()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._append({"key": key})

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
        self._append(_as_json(entry))
        self._entries[entry.slot.key] = entry

    def _append(self, value: Any) -> None:
        line = json.dumps(value, allow_nan=False, separators=(",", ":")) + "\n"
        with self._path.open("ab") as f:
            f.write(line.encode())
            f.flush()
            os.fsync(f.fileno())

    def _load(self) -> None:
        raw = self._path.read_bytes()
        whole, _, cut = raw.rpartition(b"\n")
        lines = whole.splitlines()
        found = json.loads(lines[0]).get("key") if lines else None
        if found != self._key:
            raise EvidenceError(
                f"{self._path.name} holds runs of another plan, parameters or host (key {found}, wanted {self._key}); "
                "samples of different conditions are never pooled: move it away, or measure with the old ones"
            )
        for line in lines[1:]:
            entry = _from_json(json.loads(line))
            self._entries[entry.slot.key] = entry
        if cut:
            with self._path.open("r+b") as f:
                f.truncate(len(whole) + 1)


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
