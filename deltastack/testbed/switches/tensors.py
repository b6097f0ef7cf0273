"""Tensors in files and in memory: where safetensors has them, and views of bytes that were read."""

from __future__ import annotations

import json
import operator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from deltastack.errors import ParamsError

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
MOST_HEADER_BYTES = 100_000_000
"""As the format's own library allows."""


def listed(file: BinaryIO) -> list[Entry]:
    """The tensors of a safetensors file, in the order in which they lie.

    Source: the safetensors format: eight bytes of length, a header in JSON, then the tensors.

    Raises:
        ParamsError: No whole file of this format.
    """
    size = file.seek(0, 2)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    try:
        header = _header(file, length, size)
        found = [_entry(name, one, 8 + length, size) for name, one in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ParamsError(f"{Path(file.name).name} is no whole safetensors file ({str(error)[:80]}): copy it again") from error
    return sorted(found, key=lambda e: e.offset)


def _header(file: BinaryIO, length: int, size: int) -> dict[str, Any]:
    if not 2 <= length <= min(MOST_HEADER_BYTES, size - 8):  # noqa: PLR2004 - the shortest object of JSON
        raise ValueError(f"a header of {length} bytes in a file of {size}")
    found: dict[str, Any] = json.loads(file.read(length))
    return found


def _entry(name: str, one: Any, start: int, size: int) -> Entry:
    begin, end = (operator.index(x) for x in one["data_offsets"])
    shape = tuple(operator.index(x) for x in one["shape"])
    if not 0 <= begin <= end <= size - start or min(shape, default=0) < 0:
        raise ValueError(f"tensor {name[:40]!r} lies outside the file")
    return Entry(name, _DTYPES[one["dtype"]], shape, start + begin, end - begin)


def viewed(entry: Entry, memory: mmap.mmap | bytearray, offset: int) -> Tensor:
    """The tensor whose bytes begin at ``offset`` of ``memory``: a view, which keeps the memory alive."""
    import torch

    dtype = getattr(torch, entry.dtype)
    if not entry.byte:
        return torch.empty(entry.shape, dtype=dtype)
    return torch.frombuffer(memory, dtype=dtype, count=entry.byte // dtype.itemsize, offset=offset).view(entry.shape)
