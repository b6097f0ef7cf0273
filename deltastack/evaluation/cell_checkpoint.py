"""Simulated cells that are finished, on disk as they come: a killed run goes on where it was cut, and stages share cells.

One line a draw and content of a cell: its usage by basis, or in words why it does not hold. JSON keeps a float to its last
bit, so the table is the same, byte for byte, whether it was made in one run or in several.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from deltastack.contracts.lines import Lines
from deltastack.model import Component, Evidence, OperatingPoint, Reading, Resource, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    Found = dict[OperatingPoint, Usage] | str


class Kept:
    """Finished cells of one stage, and those of others; threads may share it."""

    def __init__(self, path: Path, key: str, others: Iterable[Path] = ()) -> None:
        """Open what is kept.

        Args:
            path: Where this stage writes; no other process does.
            key: A hash of parameters, workload and code.
            others: Files of other stages, which are only read; those under another key count for nothing.

        Raises:
            EvidenceError: The file belongs to another key.
        """
        self._lines, self._writing = Lines(path, key), threading.Lock()
        there = [line for other in others for line in Lines.of_another(other, key)] + self._lines.there
        self._found: dict[tuple[int, str], Found] = {(d, c): _usages(u) for d, c, u in there}

    def __len__(self) -> int:
        """How many cells are there."""
        return len(self._found)

    def get(self, draw: int, cell: str) -> Found | None:
        """What a finished cell gave; None if it is not there."""
        return self._found.get((draw, cell))

    def add(self, draw: int, cell: str, found: Found) -> None:
        """Write a finished cell through to the disk."""
        line = [draw, cell, found if isinstance(found, str) else {b: _plain(u) for b, u in found.items()}]
        with self._writing:
            self._lines.append(line)
            self._found[draw, cell] = found


def _plain(usage: Usage) -> dict[str, Any]:
    return {"readings": [list(r) for r in usage], "missed": list(usage.missed)}


def _usages(value: Any) -> Found:
    if isinstance(value, str):
        return value
    return {
        OperatingPoint(b): Usage(readings=tuple(map(_reading, u["readings"])), missed=tuple(u["missed"]))
        for b, u in value.items()
    }


def _reading(value: list[Any]) -> Reading:
    component, resource, amount, evidence, *rest = value
    return Reading(Component(component), Resource(resource), amount, Evidence(evidence), *rest)
