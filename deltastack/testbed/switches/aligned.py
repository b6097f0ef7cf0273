"""Weights whose tensors begin on blocks, read straight from the disk into their place: aligned, whole, past the page cache.

The file is a header (its length in 8 bytes, then JSON: name to dtype, shape, place, bytes) and the tensors in the order of
their names, each beginning at a multiple of the alignment, the end padded to whole blocks. Reading asks for runs of
neighbouring tensors in pieces, with O_DIRECT, into page-aligned memory; the tensors are views of it, nothing is copied.

A run never mixes the encoder with the decoder, so that the encoder's memory can be given back alone. Memory that no tensor
uses any more is kept and used again at the next load, as a server does that loads again and again: its pages are there, no
page fault is paid. A process that loads for the first time pays them besides. ``forget`` gives kept memory back.

Source: open(2), O_DIRECT: file offset, length and memory address must be multiples of the block size.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from deltastack.errors import EvidenceError
from deltastack.testbed.switches.tensors import Entry, viewed
from deltastack.testbed.vlm.serving import Loaded

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from deltastack.testbed.vlm.serving import Tensors

BLOCK_BYTE = 4096
"""What O_DIRECT needs on every disk of today."""
_LENGTH_BYTE = 8


def part(entry: Entry) -> str:
    """The part of the model that a tensor belongs to: tensors of different parts are never read together."""
    return ".".join(entry.name.split(".")[:2])


class Buffers:
    """Page-aligned memory that is used again once nothing refers to it."""

    def __init__(self) -> None:
        """None yet."""
        self._held: list[mmap.mmap] = []

    def take(self, length_byte: int) -> mmap.mmap:
        """Memory of that length: kept and free if there is such, else new."""
        for i in range(len(self._held)):
            if len(self._held[i]) == length_byte and self._free(i):
                return self._held[i]
        self._held.append(mmap.mmap(-1, length_byte))
        return self._held[-1]

    def forget(self) -> None:
        """Give back what nothing refers to."""
        self._held = [self._held[i] for i in range(len(self._held)) if not self._free(i)]

    def _free(self, i: int) -> bool:
        return sys.getrefcount(self._held[i]) == _OURS


_OURS = 2
"""References to a free buffer while it is looked at: the list's, and the call's own."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """Tensors on multiples of ``alignment_byte``, read in pieces of at most ``read_byte`` into ``buffers``."""

    alignment_byte: int
    read_byte: int
    buffers: Buffers = field(default_factory=Buffers, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Says the alignment; how much is read at once does not change the file."""
        return f"aligned_{self.alignment_byte}"

    def write(self, tensors: Tensors, path: Path) -> None:
        """Write header, tensors and padding."""
        entries = _laid_out(tensors, self.alignment_byte)
        header = json.dumps([list(e) for e in entries], separators=(",", ":")).encode()
        with path.open("wb") as f:
            f.write(len(header).to_bytes(_LENGTH_BYTE, "little") + header)
            for e in entries:
                f.seek(e.offset)
                f.write(_raw(tensors[e.name]))
            f.truncate(_up(f.tell(), BLOCK_BYTE))

    def load(self, path: Path) -> Loaded:
        """Everything."""
        return self.load_some(path, ("",))

    def load_some(self, path: Path, roots: tuple[str, ...]) -> Loaded:
        """Tensors whose names begin with one of ``roots``.

        Raises:
            EvidenceError: The file ends early.
        """
        handle = os.open(path, os.O_RDONLY | os.O_DIRECT)
        try:
            entries, asked_byte = header(handle)
            tensors: Tensors = {}
            for _, run in groupby((e for e in entries if e.name.startswith(roots)), key=part):
                asked_byte += self._run(handle, list(run), tensors)
        finally:
            os.close(handle)
        return Loaded(tensors, asked_byte, _nothing)

    def forget(self) -> None:
        """Give back memory that no tensor uses; called when the encoder falls asleep."""
        self.buffers.forget()

    def _run(self, handle: int, run: list[Entry], tensors: Tensors) -> int:
        """Read one run of neighbours into one piece of memory; the bytes asked for."""
        first = run[0].offset - run[0].offset % BLOCK_BYTE
        length = _up(run[-1].offset + run[-1].byte, BLOCK_BYTE) - first
        memory = self.buffers.take(max(length, BLOCK_BYTE))
        if length:
            read(handle, memory, first, self.read_byte)
        tensors.update((e.name, viewed(e, memory, e.offset - first)) for e in run)
        return length


def header(handle: int) -> tuple[list[Entry], int]:
    """The entries of an open file and the bytes asked for to read them."""
    memory = mmap.mmap(-1, BLOCK_BYTE)
    read(handle, memory, 0, BLOCK_BYTE)
    length = int.from_bytes(memory[:_LENGTH_BYTE], "little") + _LENGTH_BYTE
    whole = _up(length, BLOCK_BYTE)
    if whole > BLOCK_BYTE:
        memory = mmap.mmap(-1, whole)
        read(handle, memory, 0, whole)
    listed = json.loads(memory[_LENGTH_BYTE:length])
    return [Entry(n, d, tuple(s), o, b) for n, d, s, o, b in listed], whole if whole == BLOCK_BYTE else whole + BLOCK_BYTE


def read(handle: int, memory: mmap.mmap, offset: int, piece_byte: int) -> None:
    """Fill ``memory`` from ``offset`` of the file, at most ``piece_byte`` at once, everything block-aligned.

    Raises:
        EvidenceError: The file ends early.
    """
    view = memoryview(memory)
    done = 0
    while done < len(view):
        got = os.preadv(handle, [view[done : done + piece_byte]], offset + done)
        if got == 0:
            raise EvidenceError(
                f"an aligned file of weights ends after {offset + done} bytes, wanted {offset + len(view)}: it is cut off"
            )
        done += got


def _laid_out(tensors: Tensors, alignment_byte: int) -> list[Entry]:
    """Entries whose places leave room for their own header: it is measured with places no shorter than the real ones."""
    bare = [
        (k, str(t.dtype).removeprefix("torch."), tuple(t.shape), t.numel() * t.element_size()) for k, t in sorted(tensors.items())
    ]
    widest = 10**15
    longest = len(json.dumps([[n, d, s, widest, b] for n, d, s, b in bare]))
    entries, place = [], _up(_LENGTH_BYTE + longest, alignment_byte)
    for n, d, s, b in bare:
        entries.append(Entry(n, d, s, place, b))
        place = _up(place + b, alignment_byte)
    return entries


def _raw(tensor: Tensor) -> bytes:
    import torch

    flat = tensor.contiguous().view(-1)
    return bytes(flat.view(torch.uint8).numpy()) if flat.numel() else b""


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _nothing() -> None:
    """The memory is free with the last tensor on it."""
