"""A cold start: a file of weights brought to the device by mapping, through pinned buffers, and past the system's cache.

Pages are dropped before each load, so that all three read the disk. Mapping is the control: it is what a loader does by default.

Source: open(2), O_DIRECT wants buffers and lengths in whole blocks; the buffers here are pages of their own.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from deltastack.accelerator import store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor

    from deltastack.accelerator.device import Device

MAPPED, PINNED, DIRECT = "@cold_mapped", "@cold_pinned", "@cold_direct"
CELLS = (MAPPED, PINNED, DIRECT)
AGAINST = {f"cold_{name.removeprefix('@cold_')}@mapped": (MAPPED, name) for name in (PINNED, DIRECT)}
"""Rows of the storage layer: loads held against mapping."""
_BLOCK = 2**20


@dataclass(slots=True)
class ColdStart:
    """A file of random bytes, and how it is loaded."""

    device: Device
    path: Path
    byte: int
    buffer_byte: int = store.BUFFER_BYTE
    _buffers: list[Tensor] = field(default_factory=list)

    def prepare(self) -> None:
        """Write the file, once, and make the buffers.

        Raises:
            OSError: No room.
        """
        if not self.path.is_file() or self.path.stat().st_size != self.byte:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("wb") as file:
                piece = os.urandom(min(_BLOCK, self.byte))
                for at in range(0, self.byte, len(piece)):
                    file.write(piece[: self.byte - at])
                file.flush()
                os.fsync(file.fileno())
        self._buffers = self._buffers or [self._buffer() for _ in range(3)]

    def load(self, cell: str) -> Tensor:
        """The file's bytes on the device; waited for.

        Raises:
            OSError: The file system takes no direct reads.
        """
        store.drop(self.path)
        found: Tensor = _LOADS[cell](self)
        self.device.synchronise()
        return found

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def mapped(self) -> Tensor:
        """By mapping: pages come as the copy asks for them."""
        there = torch.from_file(str(self.path), size=self.byte, dtype=torch.uint8)
        return there.to(self.device.name, copy=True)

    def pinned(self, flags: int = 0) -> Tensor:
        """Read into pinned buffers, each copied while the next is filled."""
        found = torch.empty(self.byte, dtype=torch.uint8, device=self.device.name)
        store.into_device(self.path, found, self._buffers, self.device, flags)
        return found

    def direct(self) -> Tensor:
        """The same past the system's cache."""
        return self.pinned(getattr(os, "O_DIRECT", 0))

    def _buffer(self) -> Tensor:
        """Whole pages: pinned memory on a GPU has them by itself."""
        if self.device.cuda:
            return torch.empty(self.buffer_byte, dtype=torch.uint8, pin_memory=True)
        pages: Any = mmap.mmap(-1, self.buffer_byte)
        return torch.frombuffer(pages, dtype=torch.uint8)


_LOADS: Mapping[str, Callable[[ColdStart], Tensor]] = {
    MAPPED: ColdStart.mapped,
    PINNED: ColdStart.pinned,
    DIRECT: ColdStart.direct,
}
