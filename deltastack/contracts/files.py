"""Files that are whole or absent: temporary file, fsync, rename, fsync of the directory."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODE = 0o644


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A path to write to, renamed over ``path`` on success and removed on failure.

    A reader sees the old file or the new one, never a part of either, also after a crash:
    the data reach the disk before the name does. A link at ``path`` is replaced, its target
    is left alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(_MODE)
        _sync(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Wait until the bytes of a file, or the names in a directory, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
