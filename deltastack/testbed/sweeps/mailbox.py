"""A mailbox between a process and its fork: tensors through shared memory, a byte in a pipe as the bell.

The memory holds one message at a time: its length, a header in JSON (a shape and a dtype for each tensor, null for none), then
the tensors, raw. Who rings has finished writing; who hears owns the memory until it rings back.
"""

from __future__ import annotations

import json
import mmap
import os
from typing import TYPE_CHECKING, Any

import torch

from deltastack.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_LENGTH_BYTE = 8
BELL = b"!"


class Mailbox:
    """Room for one message of at most ``size_byte``, made before the fork and used by both sides."""

    def __init__(self, size_byte: int) -> None:
        """Empty, in memory that a fork shares."""
        self._memory = mmap.mmap(-1, size_byte)
        self.hears, self.rings = os.pipe()
        """Ends of the pipe by which the fork answers."""

    def put(self, tensors: Sequence[Tensor | None]) -> int:
        """Write a message; its bytes.

        Raises:
            EvidenceError: It does not fit.
        """
        head = json.dumps([None if t is None else [list(t.shape), str(t.dtype).removeprefix("torch.")] for t in tensors]).encode()
        place = _LENGTH_BYTE + len(head)
        whole = place + sum(t.numel() * t.element_size() for t in tensors if t is not None)
        if whole > len(self._memory):
            raise EvidenceError(f"a message of {whole} bytes does not fit into a mailbox of {len(self._memory)}")
        self._memory[:place] = len(head).to_bytes(_LENGTH_BYTE, "little") + head
        for t in (t for t in tensors if t is not None):
            flat = t.detach().contiguous().view(-1).view(torch.uint8)
            torch.frombuffer(self._memory, dtype=torch.uint8, count=len(flat), offset=place).copy_(flat)
            place += len(flat)
        return whole

    def take(self) -> list[Tensor | None]:
        """Copies of the tensors in the message."""
        length = int.from_bytes(self._memory[:_LENGTH_BYTE], "little")
        place = _LENGTH_BYTE + length
        found: list[Tensor | None] = []
        for one in json.loads(self._memory[_LENGTH_BYTE:place]):
            tensor = None if one is None else self._copy(one, place)
            place += 0 if tensor is None else tensor.numel() * tensor.element_size()
            found.append(tensor)
        return found

    def _copy(self, one: list[Any], place: int) -> Tensor:
        shape, dtype = one[0], getattr(torch, one[1])
        count = int(torch.Size(shape).numel())
        raw = torch.frombuffer(self._memory, dtype=torch.uint8, count=count * dtype.itemsize, offset=place)
        return raw.clone().view(dtype).view(shape)
