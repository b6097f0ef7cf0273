"""What reading tensors at offsets that no block starts at costs: bytes read twice over, and bounce copies.

A tensor of S bytes at offset o is read in whole blocks of B bytes, from floor(o / B) B to ceil((o + S) / B) B. Over
offsets that are uniform multiples of g (g divides B, B divides S) the mean of bytes read over bytes wanted is

    A = 1 + (B - g) / S

A read whose offset or end is not on a block goes through a bounce buffer and is copied once more.

Source: this project (counting blocks); measured read amplifications in docs/layers.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import OutOfValidityError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SAFETENSORS_LENGTH_BYTES = 8
"""The header's own length field. Source: the safetensors format: u64 length, JSON header padded to 8, then data."""
HEADER_BYTES_PER_TENSOR = 100
"""About what one entry of the JSON header takes (name, dtype, shape, offsets). Source: this project, counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """Reading every tensor of a file once, each by its own read."""

    wanted_bytes: float
    read_bytes: float
    bounced_bytes: float
    """Bytes that had to be copied out of a bounce buffer."""
    unaligned: int
    tensors: int

    @property
    def amplification(self) -> float:
        """Bytes read over bytes wanted."""
        return self.read_bytes / self.wanted_bytes


def packed_offsets(sizes_bytes: Sequence[int]) -> NDArray[np.int64]:
    """Offsets (T,) of tensors laid out one after the other as the safetensors format does, header padded to 8 bytes.

    Raises:
        OutOfValidityError: No tensor, or one without bytes.
    """
    sizes = _sizes(sizes_bytes)
    header = SAFETENSORS_LENGTH_BYTES + -(-HEADER_BYTES_PER_TENSOR * sizes.size // 8) * 8
    return header + np.concatenate(([0], np.cumsum(sizes)[:-1]))


def aligned_offsets(sizes_bytes: Sequence[int], block_bytes: int) -> NDArray[np.int64]:
    """Offsets (T,) of tensors that each start on a block.

    Raises:
        OutOfValidityError: No tensor, one without bytes, or a block below 1.
    """
    if block_bytes < 1:
        raise OutOfValidityError(f"a block has at least one byte, found {block_bytes}")
    sizes = _sizes(sizes_bytes)
    padded = -(-sizes // block_bytes) * block_bytes
    return np.concatenate(([0], np.cumsum(padded)[:-1])) + block_bytes


def reads(offsets_bytes: NDArray[np.int64], sizes_bytes: Sequence[int], block_bytes: int) -> Reads:
    """Bytes that reading each tensor once moves, in blocks of ``block_bytes``.

    Raises:
        OutOfValidityError: Other numbers of offsets and sizes, or a block below 1.
    """
    sizes = _sizes(sizes_bytes)
    if offsets_bytes.shape != sizes.shape or block_bytes < 1:
        raise OutOfValidityError(f"{offsets_bytes.size} offsets for {sizes.size} tensors, blocks of {block_bytes} bytes")
    ends = offsets_bytes + sizes
    spans = -(-ends // block_bytes) * block_bytes - offsets_bytes // block_bytes * block_bytes
    unaligned = offsets_bytes % block_bytes != 0
    return Reads(
        wanted_bytes=float(sizes.sum()),
        read_bytes=float(spans.sum()),
        bounced_bytes=float(sizes[unaligned].sum()),
        unaligned=int(unaligned.sum()),
        tensors=sizes.size,
    )


def mean_amplification(size_bytes: float, block_bytes: float, grain_bytes: float) -> float:
    """Mean read amplification of reads of ``size_bytes`` at uniform multiples of ``grain_bytes``.

    Raises:
        OutOfValidityError: The grain does not divide the block, or the block does not divide the size.
    """
    if min(size_bytes, block_bytes, grain_bytes) <= 0 or block_bytes % grain_bytes or size_bytes % block_bytes:
        raise OutOfValidityError(
            f"the formula holds where the grain ({grain_bytes}) divides the block ({block_bytes}) "
            f"and the block divides the size ({size_bytes})"
        )
    return 1 + (block_bytes - grain_bytes) / size_bytes


def _sizes(sizes_bytes: Sequence[int]) -> NDArray[np.int64]:
    sizes = np.asarray(sizes_bytes, dtype=np.int64)
    if sizes.size == 0 or (sizes < 1).any():
        raise OutOfValidityError("a file needs at least one tensor, and every tensor at least one byte")
    return sizes
