"""The tables beside the layers: by hand what is exact, and that every row is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from deltastack.errors import EvidenceError
from deltastack.testbed.sweeps import density, link, reads, workers
from deltastack.testbed.sweeps.density import Point

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("size", "wanted"), [(4096, 8192), (4088, 4096), (16384, 20480), (65536, 69632)])
def test_blocks_touched_by_hand(size: int, wanted: int) -> None:
    """8 bytes into a block, 4 KiB touch two blocks (2.0 x), 16 KiB five (1.25 x), 64 KiB seventeen (1.0625 x)."""
    assert reads.widened_byte(size) == wanted


def test_every_way_is_read(tmp_path: Path) -> None:
    """Four ways at two sizes, with amplification and copies where they are known; the slowest reads are not below the median."""
    path = tmp_path / "w"
    path.write_bytes(bytes(1 << 20))
    rows = reads.sweep(path, (4096, 16384), count=5, seed=1)

    assert [(r.size_byte, r.way) for r in rows] == [(s, w) for s in (4096, 16384) for w in reads.WAYS]
    known = {(r.size_byte, r.way): (r.amplification, r.bounce_copies) for r in rows}
    assert known[4096, "aligned"] == (1.0, 0)
    assert known[4096, "widened"] == (2.0, 1)
    assert known[16384, "widened"] == (1.25, 1)
    assert known[4096, "mapped"] == (None, 0)
    assert all(0 < r.p50_s <= r.p99_s for r in rows)


def test_three_workers_on_one_mapping_hold_one_copy(tmp_path: Path) -> None:
    """A file of 32 MiB: private copies of three workers hold two files more than the mapping; an empty file cannot be mapped."""
    path = tmp_path / "w"
    size = 32 << 20
    path.write_bytes(bytes(range(256)) * (size // 256))
    shared, private, none = (workers.hold(path, way, 3) for way in ("shared", "private", "none"))

    assert private.pss_byte - shared.pss_byte == pytest.approx(2 * size, rel=0.1)
    assert shared.pss_byte - none.pss_byte == pytest.approx(size, rel=0.1)
    missing = tmp_path / "missing"
    missing.touch()
    with pytest.raises(EvidenceError, match="a worker ended before it held missing"):
        workers.hold(missing, "shared", 1)


def test_break_even_by_hand() -> None:
    """Quicker at 0.1 and 0.25, slower at 0.5: the break-even is 0.25; where nothing wins there is none."""
    points = [Point(4, 0.1, 1.0, 0.4), Point(4, 0.25, 1.0, 0.9), Point(4, 0.5, 1.0, 1.5), Point(8, 0.1, 1.0, 1.1)]

    assert density.break_even(points, 4) == 0.25
    assert density.break_even(points, 8) is None
    assert points[0].saving == pytest.approx(0.6)


def test_density_sweep_has_every_point() -> None:
    """Two numbers of rows at two densities are four points of positive time."""
    torch.set_num_threads(1)
    points = density.sweep((32, 32), rows=(1, 40), densities=(0.25, 1.0), repeats=1, seed=1)

    assert [(p.rows, p.density) for p in points] == [(1, 0.25), (40, 0.25), (1, 1.0), (40, 1.0)]
    assert all(p.dense_s > 0 and p.sparse_s > 0 for p in points)


def test_messages_come_back() -> None:
    """Two sizes over the link: every row has its size, and more bytes a second in the larger message."""
    small, large = link.sweep((64, 1 << 20), messages=20)

    assert (small.size_byte, large.size_byte) == (64, 1 << 20)
    assert 0 < small.p50_s <= small.p99_s
    assert large.byte_per_s > small.byte_per_s
