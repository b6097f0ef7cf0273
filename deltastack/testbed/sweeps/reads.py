"""Reads of one size at random places of a cold file, in four ways.

* ``aligned``: O_DIRECT at multiples of 4 KiB, straight into a reused page-aligned buffer.
* ``widened``: the same tensor 8 bytes off a block, as safetensors lays it: O_DIRECT over all blocks that it touches, then one
  copy out of the bounce buffer.
* ``buffered``: ``pread`` at the same 8 bytes off, through the page cache, into the reused buffer.
* ``mapped``: a private mapping of the file, told that access is random; every page is touched.

Read amplification is blocks asked for over the bytes wanted; through the page cache it is what was read ahead, and is not
asked for here. The file is dropped from the page cache before every way. A virtual disk with a cache of its own behind it:
latencies are this machine's.
"""

from __future__ import annotations

import mmap
import os
import random
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack.testbed import page_cache
from deltastack.testbed.switches.aligned import BLOCK_BYTE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OFFSET_BYTE = 8
"""Safetensors pads its header to 8 bytes: tensors begin on such places."""


class Read(NamedTuple):
    """One way at one size: median and 99th percentile of ``reads`` reads [s]."""

    size_byte: int
    way: str
    reads: int
    p50_s: float
    p99_s: float
    amplification: float | None
    bounce_copies: int


def sweep(path: Path, sizes_byte: tuple[int, ...], *, count: int, seed: int) -> list[Read]:
    """Every size in every way, ``count`` reads each at the same random places of the file at ``path``."""
    rows = []
    for size in sizes_byte:
        places = _places(path.stat().st_size, size, count, seed)
        for way, (prepare, amplification, copies) in WAYS.items():
            page_cache.drop(path)
            seconds = _timed(path, prepare, places, size)
            p50, p99 = np.quantile(seconds, [0.5, 0.99])
            wanted = None if amplification is None else amplification(size) / size
            rows.append(Read(size, way, count, float(p50), float(p99), wanted, copies))
    return rows


def widened_byte(size_byte: int) -> int:
    """Bytes of all blocks that a tensor of ``size_byte`` touches when it begins 8 bytes into one."""
    return -(-(OFFSET_BYTE + size_byte) // BLOCK_BYTE) * BLOCK_BYTE


def _places(file_byte: int, size_byte: int, count: int, seed: int) -> list[int]:
    """Block-aligned places that leave room for the widest read."""
    chance = random.Random(seed)  # noqa: S311 - places of reads, not a secret
    last = (file_byte - size_byte) // BLOCK_BYTE - 1
    return [chance.randint(0, last) * BLOCK_BYTE for _ in range(count)]


def _timed(path: Path, prepare: Callable[[int, int], Callable[[int], None]], places: list[int], size: int) -> list[float]:
    flags = os.O_RDONLY | (os.O_DIRECT if prepare in {_aligned, _widened} else 0)
    handle = os.open(path, flags)
    try:
        read = prepare(handle, size)
        seconds = []
        for place in places:
            began = time.perf_counter()
            read(place)
            seconds.append(time.perf_counter() - began)
    finally:
        os.close(handle)
    return seconds


def _aligned(handle: int, size: int) -> Callable[[int], None]:
    view = memoryview(mmap.mmap(-1, size))

    def read(place: int) -> None:
        os.preadv(handle, [view], place)

    return read


def _widened(handle: int, size: int) -> Callable[[int], None]:
    bounce = memoryview(mmap.mmap(-1, widened_byte(size)))
    tensor = bytearray(size)

    def read(place: int) -> None:
        os.preadv(handle, [bounce], place)
        tensor[:] = bounce[OFFSET_BYTE : OFFSET_BYTE + size]

    return read


def _buffered(handle: int, size: int) -> Callable[[int], None]:
    view = memoryview(bytearray(size))

    def read(place: int) -> None:
        os.preadv(handle, [view], place + OFFSET_BYTE)

    return read


def _mapped(handle: int, size: int) -> Callable[[int], None]:
    mapping = mmap.mmap(handle, 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
    mapping.madvise(mmap.MADV_RANDOM)
    touched = np.frombuffer(mapping, dtype=np.uint8)

    def read(place: int) -> None:
        touched[place + OFFSET_BYTE : place + OFFSET_BYTE + size : BLOCK_BYTE].sum()

    return read


WAYS: dict[str, tuple[Callable[[int, int], Callable[[int], None]], Callable[[int], int] | None, int]] = {
    "aligned": (_aligned, lambda size: size, 0),
    "widened": (_widened, widened_byte, 1),
    "buffered": (_buffered, None, 1),
    "mapped": (_mapped, None, 0),
}
"""How to read, bytes asked for (None: the system decides), copies of the tensor."""
