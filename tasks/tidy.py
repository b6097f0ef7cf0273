"""What old runs leave in .run, and its retention: the newest ``runs_kept`` (params/stack.yaml) of each kind stay.

Results that no server has taken yet (.run/outbox) are never dropped. A dry run counts and removes nothing.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from deltastack.params import load
from deltastack.stack import Stack
from tasks import outbox

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RECEIPTS = ".run/receipts/by-output"
BY_TIME = (".run/occasions", ".run/ledgers", ".run/engine", ".run/broken")
"""Folders of files of which the newest written count."""
LOGS = ".run/logs"
LOG_BYTES = 2**20
"""What stays of a log: its end."""


class Kept(NamedTuple):
    """One store: what it holds and what retention takes from it."""

    store: str
    entries: int
    dropped: int
    byte: int
    """Before, on disk."""
    freed: int
    """Bytes that go; what a database gives back only after it went is counted then."""
    note: str = ""


def most(root: Path) -> int:
    """How many runs stay.

    Raises:
        ParamsError: params/stack.yaml does not hold.
    """
    return load(root / "params/stack.yaml", Stack).runs_kept


def files(root: Path, most: int, *, apply: bool) -> list[Kept]:
    """The stores in .run that are files."""
    found = [_history(root, most, apply=apply), _receipts(root, most, apply=apply), _outbox(root)]
    found += [_newest(root, folder, most, apply=apply) for folder in BY_TIME]
    return [*found, _logs(root, apply=apply)]


def kept_outputs(root: Path, most: int) -> set[str]:
    """Hashes of what the newest ``most`` runs of each stage wrote, from their receipts."""
    _, kept = _receipts_by_age(root, most)
    return {str(digest) for path in kept for digest in outbox.read(path).get("outs", {}).values()}


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder; 0 of what is not there."""
    if not path.is_dir():
        return path.stat().st_size if path.is_file() else 0
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def drop(paths: Iterable[Path], *, apply: bool) -> tuple[int, int]:
    """Remove files; how many, and their bytes."""
    count = freed = 0
    for path in paths:
        count, freed = count + 1, freed + size(path)
        if apply:
            path.unlink(missing_ok=True)
    return count, freed


def _history(root: Path, most: int, *, apply: bool) -> Kept:
    """Headline numbers of earlier results, and the notes of which server took them."""
    notes = sorted((root / ".run/history").glob("*.json"), key=lambda p: (outbox.read(p).get("created", ""), p.name))
    names = {p.stem for p in notes[-most:]} | {p.stem for p in outbox.pending(root)} | {outbox.key(root)}
    taken = list((root / ".run/delivered").glob("*.json"))
    old = [p for p in (*notes, *taken) if p.stem not in names]
    return Kept(".run/history", len(notes) + len(taken), *_counted(old, [*notes, *taken], apply=apply))


def _receipts(root: Path, most: int, *, apply: bool) -> Kept:
    old, kept = _receipts_by_age(root, most)
    return Kept(".run/receipts", len(old) + len(kept), *_counted(old, [*old, *kept], apply=apply))


def _receipts_by_age(root: Path, most: int) -> tuple[list[Path], list[Path]]:
    """Receipts that are old, and the newest ``most`` of each stage."""
    stages: dict[str, list[tuple[str, str, Path]]] = defaultdict(list)
    for path in (root / RECEIPTS).glob("*.json"):
        said = outbox.read(path)
        stages[str(said.get("stage"))].append((str(said.get("started")), path.name, path))
    old: list[Path] = []
    kept: list[Path] = []
    for found in stages.values():
        paths = [path for *_, path in sorted(found)]
        old, kept = old + paths[:-most], kept + paths[-most:]
    return old, kept


def _outbox(root: Path) -> Kept:
    waiting = len(outbox.pending(root))
    note = "waits for its server, never dropped: `deltastack sync`" if waiting else ""
    return Kept(".run/outbox", waiting, 0, size(root / ".run/outbox"), 0, note)


def _newest(root: Path, folder: str, most: int, *, apply: bool) -> Kept:
    """The files of a folder, but for its own folders, by when they were written."""
    found = sorted((p for p in (root / folder).glob("*") if p.is_file()), key=lambda p: (p.stat().st_mtime_ns, p.name))
    return Kept(folder, len(found), *_counted(found[:-most], found, apply=apply))


def _logs(root: Path, *, apply: bool) -> Kept:
    """Logs of servers keep their end; the server that writes on goes on at it."""
    found = [p for p in (root / LOGS).glob("*.log") if p.is_file()]
    byte, long = sum(map(size, found)), [p for p in found if size(p) > LOG_BYTES]
    freed = sum(size(p) - LOG_BYTES for p in long)
    for path in long if apply else ():
        with path.open("r+b") as log:
            log.seek(-LOG_BYTES, os.SEEK_END)
            end = log.read()
            log.seek(0)
            log.truncate()
            log.write(end)
    return Kept(LOGS, len(found), len(long), byte, freed)


def _counted(old: list[Path], every: list[Path], *, apply: bool) -> tuple[int, int, int]:
    byte = sum(map(size, every))
    count, freed = drop(old, apply=apply)
    return count, byte, freed
