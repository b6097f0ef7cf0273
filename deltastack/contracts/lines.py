"""Append-only JSON lines that outlive a kill: each line is on disk before the next thing begins.

The first line is the key of what was written: a hash of everything that the rest depends on. What was written under another
key is refused, never mixed in. A line that a kill cut off is dropped on reading, so at most what was under way is lost.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from deltastack.contracts.files import atomic
from deltastack.errors import EvidenceError

if TYPE_CHECKING:
    from pathlib import Path


class Lines:
    """The lines at ``path`` that were written under ``key``."""

    def __init__(self, path: Path, key: str) -> None:
        """Open the file, and make it if it is not there or was cut off in its first line.

        Raises:
            EvidenceError: The file belongs to another key.
        """
        self._path = path
        self.there: list[Any] = []
        """What was there when the file was opened, oldest first."""
        raw = path.read_bytes() if path.exists() else b""
        whole, _, cut = raw.rpartition(b"\n")
        lines = whole.splitlines()
        if lines:
            self._check(json.loads(lines[0]).get("key"), key)
            self.there = [json.loads(line) for line in lines[1:]]
        if cut:
            with path.open("r+b") as f:
                f.truncate(len(whole) + 1 if lines else 0)
        if not lines:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.append({"key": key})

    @staticmethod
    def of_another(path: Path, key: str) -> list[Any]:
        """The whole lines that another process has written under ``key`` so far; the file stays as it is.

        Args:
            path: The file; one that is not there, or is of another key, has no lines.
            key: What the lines depend on.
        """
        raw = path.read_bytes() if path.exists() else b""
        first, *lines = raw.rpartition(b"\n")[0].splitlines() or [b"{}"]
        return [json.loads(line) for line in lines] if json.loads(first).get("key") == key else []

    def append(self, value: Any) -> None:
        """Write one line through to the disk."""
        line = json.dumps(value, allow_nan=False, separators=(",", ":")) + "\n"
        with self._path.open("ab") as f:
            f.write(line.encode())
            f.flush()
            os.fsync(f.fileno())

    def keep(self, most: int) -> None:
        """Forget all but the newest ``most`` lines; a reader sees the old file or the new one."""
        first, *lines = self._path.read_bytes().splitlines()
        if len(lines) <= most:
            return
        with atomic(self._path) as part:
            part.write_bytes(b"\n".join([first, *lines[-most:]]) + b"\n")

    def _check(self, found: object, wanted: str) -> None:
        if found != wanted:
            raise EvidenceError(
                f"{self._path.name} holds runs of another plan, parameters or host (key {found}, wanted {wanted}); "
                "samples of different conditions are never pooled: move it away, or measure with the old ones"
            )
