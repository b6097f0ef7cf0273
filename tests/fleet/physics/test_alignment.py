"""Alignment: blocks counted by hand, the mean formula against counting, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import OutOfValidityError
from deltastack.fleet.physics import alignment

sizes = st.lists(st.integers(1, 50_000), min_size=1, max_size=20)


def test_by_hand() -> None:
    """100 bytes at 4000 and 5000 bytes at 4100 in blocks of 4096: 4096-byte spans of 2 and 2 blocks (one shared)."""
    found = alignment.reads(np.array([4000, 4100]), [100, 5000], 4096)

    assert found.read_bytes == 2 * 4096 + 2 * 4096
    assert found.wanted_bytes == 5100
    assert found.bounced_bytes == 5100
    assert found.amplification == pytest.approx(16384 / 5100)


def test_exact_end_of_block_reads_no_further() -> None:
    """4096 bytes at 4096 are one block and need no bounce."""
    found = alignment.reads(np.array([4096]), [4096], 4096)

    assert (found.amplification, found.bounced_bytes, found.unaligned) == (1.0, 0.0, 0)


@pytest.mark.parametrize(
    ("size", "amplification"), [(4096, 2.0), (8192, 1.5), (16384, 1.25), (65536, 1.0625), (1 << 20, 1.00390625)]
)
def test_the_measured_table(size: int, amplification: float) -> None:
    """Read amplification of unaligned reads by size as measured (4 KiB 2.00 ... 1 MiB 1.004), for fine grains."""
    assert alignment.mean_amplification(size, 4096, 1) == pytest.approx(amplification, rel=1e-3)


@given(st.sampled_from([8, 64, 512]), st.integers(1, 8))
def test_the_mean_formula_is_the_mean_over_all_offsets(grain: int, blocks: int) -> None:
    """Counting every offset that is a multiple of the grain gives 1 + (B - g) / S."""
    block = 4096
    offsets = np.arange(0, block, grain)
    read = [alignment.reads(np.array([o]), [blocks * block], block).amplification for o in offsets]

    assert np.mean(read) == pytest.approx(alignment.mean_amplification(blocks * block, block, grain))


@given(sizes, st.sampled_from([512, 4096, 16384]))
def test_aligned_layout_never_reads_more_than_one_block_extra(lengths: list[int], block: int) -> None:
    """Aligned tensors bounce nothing and read each less than one block beyond their size; packed ones never read less."""
    aligned = alignment.reads(alignment.aligned_offsets(lengths, block), lengths, block)
    packed = alignment.reads(alignment.packed_offsets(lengths), lengths, block)

    assert aligned.unaligned == 0
    assert aligned.read_bytes - aligned.wanted_bytes < block * len(lengths)
    assert packed.read_bytes >= aligned.read_bytes


@given(sizes)
def test_layouts_do_not_overlap(lengths: list[int]) -> None:
    """Every tensor ends before the next begins, packed and aligned; packed leaves no gap."""
    packed, aligned = alignment.packed_offsets(lengths), alignment.aligned_offsets(lengths, 4096)

    assert (packed[:-1] + lengths[:-1] == packed[1:]).all()
    assert (aligned[:-1] + lengths[:-1] <= aligned[1:]).all()


def test_refusals() -> None:
    """No tensor, a tensor without bytes, a grain that does not divide, a block of nothing."""
    with pytest.raises(OutOfValidityError):
        alignment.packed_offsets([])
    with pytest.raises(OutOfValidityError):
        alignment.aligned_offsets([0], 4096)
    with pytest.raises(OutOfValidityError):
        alignment.mean_amplification(4096, 4096, 3)
    with pytest.raises(OutOfValidityError):
        alignment.aligned_offsets([1], 0)
    with pytest.raises(OutOfValidityError):
        alignment.reads(np.array([0, 1]), [1], 4096)
