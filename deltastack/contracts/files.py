"""Files that are whole or absent: temporary file, fsync, rename, fsync of the directory."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from deltastack.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODE = 0o644
_TOLD = re.compile(r"\(os error (\d{1,3})\)")


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
    except BaseException as error:
        part.unlink(missing_ok=True)
        if told := _TOLD.search(str(error)):  # safetensors wraps what the system said in an error of its own
            number = int(told[1])
            raise OSError(number, os.strerror(number), str(path)) from error
        raise
    _sync(path.parent)


def ordinary(path: Path) -> Path:
    """``path``, unless it is a pipe, a socket or a device, which may never end; one that is not there is for its reader to name.

    Raises:
        InputError: It is one of these.
    """
    with suppress(OSError, ValueError):
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise InputError(f"{path}: a pipe or a device, no file; save what it holds in a file, and give that")
    return path


def _sync(path: Path) -> None:
    """Wait until the bytes of a file, or the names in a directory, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
