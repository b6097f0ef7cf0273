"""A meter that replays recorded windows: the same interface without the machine, for tests and for audits."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from deltastack.errors import EvidenceError
from deltastack.experiment.meter.counters import Quantity
from deltastack.experiment.meter.meter import Reading, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


class ReplayMeter:
    """Gives each window the next recorded readings of its name, in the order they were recorded."""

    def __init__(self, recorded: Iterable[tuple[str, Mapping[Quantity, Reading]]]) -> None:
        """Queue the recorded windows by name."""
        self._queues: dict[str, list[Mapping[Quantity, Reading]]] = {}
        for name, readings in recorded:
            self._queues.setdefault(name, []).append(readings)

    @classmethod
    def from_jsonl(cls, path: Path) -> ReplayMeter:
        """Read lines ``{"window": name, "readings": {quantity: [value, source, reason]}}``.

        Raises:
            EvidenceError: A line that is not such an object, by number.
        """
        recorded = []
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            try:
                row = json.loads(line)
                readings = {Quantity(q): Reading(*r) for q, r in row["readings"].items()}
                recorded.append((str(row["window"]), readings))
            except (ValueError, KeyError, TypeError) as error:
                raise EvidenceError(f"{path.name} line {number} is no recorded window: {error}") from error
        return cls(recorded)

    @contextlib.contextmanager
    def window(self, name: str) -> Iterator[Window]:
        """Run the body, then hand out what was recorded.

        Raises:
            EvidenceError: Nothing of that name is left in the record.
        """
        queue = self._queues.get(name)
        if not queue:
            raise EvidenceError(f"no window '{name}' is left in the record; it holds: {', '.join(self._queues) or 'none'}")
        window = Window(name)
        yield window
        window.close(dict(queue.pop(0)))
