"""What a switch may change while it is on: the extension points of the engine.

Each field is either one value, which one technique may hold at a time (``Engine.override``), or a collection to which any
number of techniques add (``Engine.register``). Everything a technique adds carries its name, so that the order of
application never depends on the order of switching: changes apply by ``rank`` and then by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from torch import Tensor

    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Batch, Host
    from deltastack.testbed.vlm.session import Served
    from deltastack.testbed.vlm.students import Student

Tensors = dict[str, "Tensor"]


class Rank(IntEnum):
    """In which order changes of the model apply; within a rank, by name."""

    WEIGHTS = 0
    """Other numbers in the same modules (pruning)."""
    MODULES = 1
    """Other modules in the place of linear layers (quantization, sparse kernels)."""
    ATTENTION = 2
    """Another attention function."""
    HOOKS = 3
    """Hooks on modules that stay (lanes)."""


class Loaded(NamedTuple):
    """What a layout gave: tensors by name, bytes it asked the disk for, and how to let go of them.

    ``close`` is called at unload, after the model has dropped its parameters.
    """

    tensors: Tensors
    asked_byte: int
    close: Callable[[], None]


class Layout(Protocol):
    """How tensors lie in a file and how they come back: written once outside the session, loaded cold inside it."""

    @property
    def name(self) -> str:
        """Names the file in the engine's folder; equal names must mean equal bytes."""
        ...

    def write(self, tensors: Tensors, path: Path) -> None:
        """Write the file."""
        ...

    def load(self, path: Path) -> Loaded:
        """Bring the tensors into memory."""
        ...

    def load_some(self, path: Path, roots: tuple[str, ...]) -> Loaded:
        """Bring only tensors whose names begin with one of ``roots`` into memory (the encoder's wake-up)."""
        ...


class Change(Protocol):
    """A change of the loaded model, entered after every load and left before every unload.

    ``spare`` are stored tensors that are no parameter of the model (int8 codes and scales, for example). Leaving must
    give the model back bit for bit.

    A module that stands in for a linear layer and holds its weights outside its parameters says their size as
    ``packed_byte``, lets go of them in ``release()`` and takes them back in ``restore(spare)``, so that the encoder can
    sleep under any technique.
    """

    def __call__(self, host: Host, spare: Tensors) -> AbstractContextManager[None]:
        """The change, on at entry and off at exit."""
        ...


class Ranked(NamedTuple):
    """A named change with its rank."""

    rank: Rank
    name: str
    change: Change


StorageHook = Callable[[Tensors], Tensors]
"""Rewrites the tensors that are stored, outside the session (a file in int8, for example); pure."""

Runner = Callable[["Engine", "Batch"], "Served"]
"""Serves one batch; the default is ``Engine.serve``. A runner with lanes joins its parts by ``Served.join``."""

Placement = Callable[[int, Literal["attention", "ffn"]], str]
"""The lane in which a part of decoder layer ``i`` runs; a lane runs one micro-batch at a time. With several placements
a part's lane is the tuple of all of theirs, so that layer placement and attention-FFN separation combine."""

BatchHook = Callable[["Batch"], "AbstractContextManager[None]"]
"""The way of one batch (or micro-batch) through the model: entered around it, on the thread that serves it."""


@dataclass(slots=True)
class ServingConfig:
    """The values that a session is served with. Only ``Engine.override`` and ``Engine.register`` change them."""

    layout: Layout
    reshape_hooks: dict[str, StorageHook] = field(default_factory=dict)
    """By technique; other shapes of the same tensors, before any other number format. Applied in the order of the names."""
    storage_hooks: dict[str, StorageHook] = field(default_factory=dict)
    """By technique; applied in the order of the names."""
    changes: dict[str, Ranked] = field(default_factory=dict)
    placements: dict[str, Placement] = field(default_factory=dict)
    batch_hooks: dict[str, BatchHook] = field(default_factory=dict)
    runner: Runner | None = None
    """None: the engine's own, one thread, whole batches."""
    encode_text: bool = False
    """Whether a text-only batch runs the encoder on blank images, as a server with a fixed graph does."""
    unload_encoder_after_s: float | None = None
    """Let go of the encoder's weights when an idle gap exceeds this; the next image brings them back from the disk."""
    micro_batches: int = 1
    """Into how many parts a runner with lanes cuts a batch."""
    student: Student | None = None
    """Served in the model's place: its tensors are what every technique finds, its layers the only ones inside a session."""

    def ordered_changes(self) -> tuple[Ranked, ...]:
        """Changes as they apply."""
        return tuple(sorted(self.changes.values(), key=lambda c: (c.rank, c.name)))

    def stored_name(self) -> str:
        """Names the stored file: the layout, whose weights, and what is stored of them."""
        instead = [] if self.student is None else [self.student.name]
        return "+".join([self.layout.name, *instead, *sorted(self.reshape_hooks), *sorted(self.storage_hooks)])

    def store(self, tensors: Mapping[str, Tensor]) -> Tensors:
        """The tensors as they are stored."""
        stored = dict(tensors) if self.student is None else self.student.weights(dict(tensors))
        for rewrites in (self.reshape_hooks, self.storage_hooks):
            for name in sorted(rewrites):
                stored = rewrites[name](stored)
        return stored
