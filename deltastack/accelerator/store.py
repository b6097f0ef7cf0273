"""Keys and values of earlier sessions: in pinned host memory, and in a file whose pages are dropped before each read.

A read from the file goes through two pinned buffers: one is filled while the other is copied to the device.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from deltastack.accelerator.device import Device

BUFFER_BYTE = 64 * 2**20


@dataclass(slots=True)
class Store:
    """What is kept: one tensor a group, (layers, 2, requests, tokens, heads of keys, dim)."""

    device: Device
    pinned: list[Tensor]
    folder: Path | None = None
    _files: list[Path] = field(default_factory=list)
    _buffers: list[Tensor] = field(default_factory=list)

    def to_files(self) -> None:
        """Write everything to files, once.

        Raises:
            OSError: No folder, or no room.
        """
        if self._files:
            return
        if self.folder is None:
            raise OSError("no folder for the file tier")
        self.folder.mkdir(parents=True, exist_ok=True)
        for number, kept in enumerate(self.pinned):
            path = self.folder / f"keys-and-values-{number}.bin"
            with path.open("wb") as file:
                file.write(view(raw(kept)))
                file.flush()
                os.fsync(file.fileno())
            self._files.append(path)

    def remove(self) -> None:
        """Remove the files."""
        for path in self._files:
            path.unlink(missing_ok=True)
        self._files.clear()

    def forget_pages(self) -> None:
        """Ask the system to drop the files' pages, so that the next read comes from the disk."""
        for path in self._files:
            drop(path)

    def restore(self, caches: list[Tensor], *, from_file: bool) -> None:
        """Copy what is kept into the first requests of each group; queued, not waited for."""
        for group, (cache, kept) in enumerate(zip(caches, self.pinned, strict=True)):
            there = cache[:, :, : kept.shape[2], : kept.shape[3]]
            there.copy_(self._read(group) if from_file else kept, non_blocking=True)

    def _read(self, group: int) -> Tensor:
        """A group's file on the device."""
        kept = self.pinned[group]
        found = torch.empty(kept.shape, dtype=kept.dtype, device=self.device.name)
        if not self._buffers:
            self._buffers = [torch.empty(BUFFER_BYTE, dtype=torch.uint8, pin_memory=self.device.cuda) for _ in range(2)]
        into_device(self._files[group], raw(found), self._buffers, self.device)
        return found


def raw(tensor: Tensor) -> Tensor:
    """A contiguous tensor as bytes."""
    return tensor.view(-1).view(torch.uint8)


def view(tensor: Tensor) -> memoryview:
    """The memory of bytes on the host."""
    inner: Any = tensor.numpy()
    return memoryview(inner)


def drop(path: Path) -> None:
    """Ask the system to forget a file's pages; a system that cannot keeps them."""
    if hasattr(os, "posix_fadvise"):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)


def into_device(path: Path, target: Tensor, buffers: list[Tensor], device: Device, flags: int = 0) -> None:
    """Read a file through buffers into ``target`` (bytes), one buffer filled while others are copied; waited for.

    Args:
        path: The file, as long as ``target``.
        target: (bytes,) on the device.
        buffers: Pinned on a GPU.
        device: Where ``target`` is.
        flags: Of ``os.open``, such as O_DIRECT.

    Raises:
        OSError: It cannot be read so, or is short.
    """
    cuda: Any = torch.cuda  # its events have no types
    copied: list[Any] = [None] * len(buffers)
    handle, at, turn = os.open(path, os.O_RDONLY | flags), 0, 0
    try:
        while at < len(target):
            buffer = buffers[turn]
            if copied[turn] is not None:
                copied[turn].synchronize()
            number = os.readv(handle, [view(buffer)])
            if not number:
                raise OSError(f"{path.name} is {at} bytes long, wanted {len(target)}")
            number = min(number, len(target) - at)
            target[at : at + number].copy_(buffer[:number], non_blocking=True)
            if device.cuda:
                copied[turn] = cuda.Event()
                copied[turn].record()
            at, turn = at + number, (turn + 1) % len(buffers)
        device.synchronise()
    finally:
        os.close(handle)
