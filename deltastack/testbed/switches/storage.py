"""Layer ``storage`` on the testbed: how weights lie in their file, and who shares their pages.

``block_alignment`` reads an aligned file past the page cache; the fair baseline maps safetensors, ``buffered`` reads them
through the page cache into private memory. ``shared_weights`` is the mapping itself, which the fair baseline has already:
against ``buffered`` it keeps one copy for all workers. No zoned device was measured: this disk is an ordinary one.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from deltastack.errors import OutOfValidityError
from deltastack.testbed.switches.aligned import Aligned, Buffers
from deltastack.testbed.switches.tensors import listed, viewed
from deltastack.testbed.vlm.layouts import Mapped, touch
from deltastack.testbed.vlm.serving import Loaded

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from deltastack.testbed.switches.settings import BlockAlignment, SharedWeights
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.serving import Tensors

_BUFFERS: WeakKeyDictionary[Engine, Buffers] = WeakKeyDictionary()
"""Kept memory of each engine: it goes with the engine."""


def block_alignment(engine: Engine, p: BlockAlignment) -> AbstractContextManager[None]:
    """Serve from an aligned file.

    Raises:
        OutOfValidityError: The engine's folder is on a file system without O_DIRECT.
    """
    if p.alignment_byte is None:
        return contextlib.nullcontext()
    _refuse_without_direct(engine.base)
    buffers = _BUFFERS.setdefault(engine, Buffers())
    layout = Aligned(alignment_byte=p.alignment_byte, read_byte=p.read_byte, buffers=buffers)
    return engine.override("layout", layout, by="block_alignment")


def shared_weights(engine: Engine, p: SharedWeights) -> AbstractContextManager[None]:
    """Serve from a mapping whose pages all workers share; one worker shares with nobody."""
    if p.workers == 1:
        return contextlib.nullcontext()
    return engine.override("layout", Mapped(), by="shared_weights")


def buffered(engine: Engine) -> AbstractContextManager[None]:
    """The other baseline: the same safetensors read through the page cache into private memory."""
    return engine.override("layout", Buffered(), by="buffered")


@dataclass(frozen=True, slots=True)
class Buffered:
    """Safetensors read whole by ``read``, as ``torch.load`` without mapping does: a copy out of the page cache."""

    name: str = "mapped"
    """The same bytes as the mapped file."""

    def write(self, tensors: Tensors, path: Path) -> None:
        """As the mapped layout."""
        Mapped().write(tensors, path)

    def load(self, path: Path) -> Loaded:
        """Everything."""
        return self.load_some(path, ("",))

    def load_some(self, path: Path, roots: tuple[str, ...]) -> Loaded:
        """Tensors whose names begin with one of ``roots``, each in memory of its own."""
        tensors: Tensors = {}
        with path.open("rb", buffering=0) as file:
            for e in (e for e in listed(file) if e.name.startswith(roots)):
                memory = bytearray(e.byte)
                file.seek(e.offset)
                file.readinto(memory)
                tensors[e.name] = viewed(e, memory, 0)
        return Loaded(tensors, sum(t.numel() * t.element_size() for t in tensors.values()), _nothing)


def plain_mapping(engine: Engine) -> AbstractContextManager[None]:
    """The other baseline: the same safetensors mapped without the library."""
    return engine.override("layout", Plain(), by="plain_mapping")


@dataclass(frozen=True, slots=True)
class Plain(Buffered):
    """Safetensors through one private mapping of this process's own: the system maps it in far larger pieces."""

    def load_some(self, path: Path, roots: tuple[str, ...]) -> Loaded:
        """Tensors whose names begin with one of ``roots``, views of the mapping, every page touched in order."""
        with path.open("rb", buffering=0) as file:
            entries = [e for e in listed(file) if e.name.startswith(roots)]
            mapping = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        tensors = {e.name: viewed(e, mapping, e.offset) for e in entries}
        return Loaded(tensors, sum(touch(t) for t in tensors.values()), _nothing)


def _refuse_without_direct(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT))
    except OSError as error:
        raise OutOfValidityError(
            f"not applicable: the file system of {path.parent.name} has no O_DIRECT ({error.strerror})"
        ) from None


def _nothing() -> None:
    """Private memory goes with its tensors."""
