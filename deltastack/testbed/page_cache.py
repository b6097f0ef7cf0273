"""The page cache: dropping a file from it, and asking how much of a file it holds.

Source: posix_fadvise(2), POSIX_FADV_DONTNEED: only clean pages that nobody maps are dropped, so the file is synced first
and the result is verified; mincore(2).
"""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING

from deltastack.errors import EvidenceError

if TYPE_CHECKING:
    from pathlib import Path


def drop(path: Path) -> None:
    """Write the file's pages back and drop them from the page cache."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def cached_byte(path: Path) -> int:
    """Bytes of the file, whole pages, that are in the page cache now.

    Raises:
        EvidenceError: The system does not say.
    """
    size = path.stat().st_size
    if size == 0:
        return 0
    pages = -(-size // mmap.PAGESIZE)
    residence = (ctypes.c_ubyte * pages)()
    with path.open("rb") as f, mmap.mmap(f.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as view:
        start = ctypes.c_char.from_buffer(view)
        libc = ctypes.CDLL(None, use_errno=True)
        failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(size), residence)
        code = ctypes.get_errno()
        del start
    if failed:
        raise EvidenceError(f"mincore does not say what is cached of {path.name}: {os.strerror(code)}")
    return sum(b & 1 for b in residence) * mmap.PAGESIZE
