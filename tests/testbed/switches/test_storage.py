"""Layouts: where tensors lie, what is asked of the disk, and that every byte comes back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deltastack.errors import EvidenceError
from deltastack.model import Component, Resource
from deltastack.testbed import page_cache
from deltastack.testbed.sweeps.private_copies import private_copies
from deltastack.testbed.switches.aligned import BLOCK_BYTE, Aligned, Buffers, header
from deltastack.testbed.switches.settings import SharedWeights
from deltastack.testbed.switches.storage import Buffered, Plain
from deltastack.testbed.vlm.layouts import Mapped
from tests.testbed import tiny

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.testbed.vlm.serving import Tensors


def entries(path: Path) -> list[tuple[str, int, int]]:
    """Name, place and bytes of every tensor in an aligned file."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        return [(e.name, e.offset, e.byte) for e in header(handle)[0]]
    finally:
        os.close(handle)


def test_three_workers_share_or_hold_a_copy_each(tmp_path: Path) -> None:
    """Six pairs of amounts: sharing holds less by two of three copies of the file; one worker has nobody to share with."""
    engine = tiny.engine("llava", tmp_path)
    file_byte = 64 << 20
    engine.stored().write_bytes(bytes(file_byte))
    memory = (Component.STORAGE, Resource.MEMORY_BYTE_S)

    found = private_copies(engine, SharedWeights(workers=3), 2.0)

    assert len(found) == 6
    assert all(b[memory] - s[memory] == pytest.approx(2 * file_byte * 2.0, rel=0.1) for b, s in found)
    assert private_copies(engine, SharedWeights(workers=1), 2.0) == []


def test_places_by_hand(tmp_path: Path) -> None:
    """100, 8192 and 2 bytes at 4 KiB: places 4096, 8192 and 16384; the file ends at 20480; 24576 bytes are asked for."""
    layout = Aligned(alignment_byte=4096, read_byte=4096)
    tensors = {"a": torch.arange(100, dtype=torch.int8), "b": torch.arange(2048.0), "c": torch.tensor([7], dtype=torch.bfloat16)}
    path = tmp_path / "w"
    layout.write(tensors, path)
    loaded = layout.load(path)

    assert entries(path) == [("a", 4096, 100), ("b", 8192, 8192), ("c", 16384, 2)]
    assert path.stat().st_size == 20480
    assert loaded.asked_byte == 4096 + 4096 + 8192 + 4096  # a header, and three runs: each name is a part of its own
    assert all(torch.equal(tensors[k], v) for k, v in loaded.tensors.items())
    assert loaded.tensors.keys() == tensors.keys()


shapes = st.lists(st.lists(st.integers(0, 40), max_size=3), min_size=1, max_size=6)


@given(shapes, st.sampled_from([4096, 2 << 20]), st.sampled_from([4096, 1 << 20]))
@settings(max_examples=25, deadline=None)
def test_every_layout_brings_back_every_bit(
    tmp_path_factory: pytest.TempPathFactory, found: list[list[int]], block: int, piece: int
) -> None:
    """Aligned, buffered and plainly mapped files give what was written, whatever the shapes; all places are aligned."""
    chance = torch.Generator().manual_seed(len(found))
    tensors: Tensors = {f"m.part{i % 2}.{i}": torch.rand(shape, generator=chance) for i, shape in enumerate(found)}
    folder = tmp_path_factory.mktemp("layouts")
    aligned = Aligned(alignment_byte=block, read_byte=piece)
    aligned.write(tensors, folder / "a")
    Mapped().write(tensors, folder / "m")

    for loaded in (aligned.load(folder / "a"), Buffered().load(folder / "m"), Plain().load(folder / "m")):
        assert loaded.tensors.keys() == tensors.keys()
        assert all(torch.equal(v, loaded.tensors[k]) and v.dtype == loaded.tensors[k].dtype for k, v in tensors.items())
    assert all(place % block == 0 for _, place, _ in entries(folder / "a"))


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    """Waking one part asks for its blocks alone, and reading past the page cache leaves nothing in it."""
    layout = Aligned(alignment_byte=4096, read_byte=1 << 20)
    tensors = {"m.eye.w": torch.rand(1024), "m.mouth.w": torch.rand(4096)}
    path = tmp_path / "w"
    layout.write(tensors, path)
    page_cache.drop(path)
    some = layout.load_some(path, ("m.eye.",))

    assert set(some.tensors) == {"m.eye.w"}
    assert some.asked_byte == BLOCK_BYTE + 4096
    assert page_cache.cached_byte(path) == 0


def test_a_cut_file_is_named(tmp_path: Path) -> None:
    """A file that ends early gives no tensors, and says where it ended."""
    layout = Aligned(alignment_byte=4096, read_byte=1 << 20)
    path = tmp_path / "w"
    layout.write({"a": torch.rand(4096)}, path)
    with path.open("r+b") as f:
        f.truncate(8192)

    with pytest.raises(EvidenceError, match="ends after 8192 bytes, wanted 20480"):
        layout.load(path)


def test_memory_is_used_again_only_when_nothing_refers_to_it() -> None:
    """A buffer that a tensor views is never handed out; free, it is, and forgetting gives it back."""
    buffers = Buffers()
    first = buffers.take(4096)
    place = id(first)
    tensor = torch.frombuffer(first, dtype=torch.uint8)
    del first
    other = buffers.take(4096)

    assert id(other) != place
    del tensor
    assert id(buffers.take(4096)) == place
    buffers.forget()
    assert [id(b) for b in buffers._held] == [id(other)]


def test_loading_again_leaves_the_first_load_alone(tmp_path: Path) -> None:
    """Tensors of one load keep their values while another file of the same size is loaded beside them."""
    layout = Aligned(alignment_byte=4096, read_byte=1 << 20)
    layout.write({"a": torch.zeros(2048)}, tmp_path / "zeros")
    layout.write({"a": torch.ones(2048)}, tmp_path / "ones")
    zeros = layout.load(tmp_path / "zeros").tensors
    ones = layout.load(tmp_path / "ones").tensors

    assert zeros["a"].sum() == 0
    assert ones["a"].sum() == 2048
