"""Tensors in files and in memory: where safetensors has them, and views of bytes that were read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    import mmap

    from torch import Tensor


class Entry(NamedTuple):
    """One tensor of a safetensors file: its place from the file's beginning."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    byte: int


_DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16", "I8": "int8", "U8": "uint8", "I32": "int32", "I64": "int64"}
"""Words of the safetensors format and of torch."""


def listed(file: BinaryIO) -> list[Entry]:
    """The tensors of a safetensors file, in the order in which they lie.

    Source: the safetensors format: eight bytes of length, a header in JSON, then the tensors.
    """
    length = int.from_bytes(file.read(8), "little")
    header = json.loads(file.read(length))
    found = [
        Entry(name, _DTYPES[one["dtype"]], tuple(one["shape"]), 8 + length + begin, end - begin)
        for name, one in header.items()
        if name != "__metadata__"
        for begin, end in [one["data_offsets"]]
    ]
    return sorted(found, key=lambda e: e.offset)


def viewed(entry: Entry, memory: mmap.mmap | bytearray, offset: int) -> Tensor:
    """The tensor whose bytes begin at ``offset`` of ``memory``: a view, which keeps the memory alive."""
    import torch

    dtype = getattr(torch, entry.dtype)
    if not entry.byte:
        return torch.empty(entry.shape, dtype=dtype)
    return torch.frombuffer(memory, dtype=dtype, count=entry.byte // dtype.itemsize, offset=offset).view(entry.shape)
