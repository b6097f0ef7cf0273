"""Micro-batches of one batch in threads, moved between lanes by hooks: the model's own forward runs unchanged.

A lane is a lock: it runs one micro-batch at a time, as a processor or a chiplet would. Each thread serves its micro-batch by
the engine's own loop. Before a part of the decoder that belongs to another lane, a hook lets go of the thread's lane and
waits for the part's. Waiting is charged to no component. Without placements every micro-batch has a lane of its own: the
same cores, used freely.

The time that each thread spent in each lane is kept as a trace (``Lanes.trace``), from which ``replay`` says how long an
ideal machine with a core a lane would have taken.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from torch import nn

    from deltastack.testbed.switches.replay import Visit
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Batch
    from deltastack.testbed.vlm.session import Served

BY = "lanes"
Part = Literal["attention", "ffn"]


@dataclass(slots=True)
class Lanes:
    """A runner with lanes. Equal to every other, so that several techniques hold it together."""

    trace: list[tuple[tuple[Visit, ...], ...]] = field(default_factory=list)
    """One entry a batch: the visits of each of its micro-batches."""

    def __call__(self, engine: Engine, batch: Batch) -> Served:
        """Serve ``batch`` in as many micro-batches as the engine is told, each in its thread."""
        from deltastack.testbed.vlm.session import Served

        parts = cut(batch, engine.serving.micro_batches)
        if len(parts) == 1:
            return engine.serve(batch)
        locks: dict[Hashable, threading.Lock] = {}
        walkers = [Walker(engine, locks, place(engine, i)) for i in range(len(parts))]
        with walking(engine, walkers):
            served = together(engine, [partial(w.serve, p) for w, p in zip(walkers, parts, strict=True)])
        self.trace.append(tuple(tuple(w.visits) for w in walkers))
        return Served.join(served)


def cut(batch: Batch, micro_batches: int) -> list[Batch]:
    """``batch`` in at most ``micro_batches`` parts of nearly equal size, none of them empty."""
    rows = len(batch.prompts)
    parts = min(rows, micro_batches)
    edges = [rows * i // parts for i in range(parts + 1)]
    return [batch.part(slice(a, b)) for a, b in pairwise(edges)]


def place(engine: Engine, micro_batch: int) -> Callable[[int, Part], Hashable]:
    """Where each part of each layer runs for one micro-batch: the lanes of all placements, or a lane of its own."""
    placements = [p for _, p in sorted(engine.serving.placements.items())]
    if not placements:
        return lambda layer, part: micro_batch  # noqa: ARG005 - every part of it in the same lane
    return lambda layer, part: tuple(p(layer, part) for p in placements)


class Walker:
    """One thread's way through the lanes: holds one lock at a time."""

    def __init__(self, engine: Engine, locks: dict[Hashable, threading.Lock], place: Callable[[int, Part], Hashable]) -> None:
        """Stand outside every lane."""
        self._engine, self._locks, self.place = engine, locks, place
        self._lane: Hashable = None
        self._entered_s = 0.0
        self.visits: list[Visit] = []

    def serve(self, part: Batch) -> Served:
        """Serve the micro-batch, beginning in the first layer's attention lane."""
        with self._engine.recorder.worker():
            _THREAD.walker = self
            try:
                self.move(0, "attention")
                return self._engine.serve(part)
            finally:
                self._leave()
                del _THREAD.walker

    def move(self, layer: int, part: Part) -> None:
        """Go to the lane of ``part`` of ``layer``; nothing happens if that is where the thread is."""
        lane = self.place(layer, part)
        if lane == self._lane:
            return
        self._leave()
        with self._engine.recorder.paused():
            self._locks.setdefault(lane, threading.Lock()).acquire()
        self._lane, self._entered_s = lane, time.thread_time()

    def _leave(self) -> None:
        if self._lane is not None:
            self.visits.append((self._lane, time.thread_time() - self._entered_s))
            self._locks[self._lane].release()
            self._lane = None


_THREAD = threading.local()


@contextlib.contextmanager
def walking(engine: Engine, walkers: list[Walker]) -> Iterator[None]:
    """Hooks on the decoder that move the calling thread's walker; none if no walker would ever change its lane."""
    n = len(engine.host.layers)
    if all(len({w.place(i, part) for i in range(n) for part in ("attention", "ffn")}) == 1 for w in walkers):
        yield
        return
    handles = [engine.host.decoder.register_forward_pre_hook(_mover(0, "attention"))]
    for i, layer in enumerate(engine.host.layers):
        handles.append(layer.register_forward_pre_hook(_mover(i, "attention")))
        handles.append(_child(layer, "mlp").register_forward_pre_hook(_mover(i, "ffn")))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _mover(layer: int, part: Part) -> Callable[..., None]:
    def move(*_: object) -> None:
        _THREAD.walker.move(layer, part)

    return move


def _child(layer: nn.Module, name: str) -> nn.Module:
    child: nn.Module = getattr(layer, name)
    return child


def together(engine: Engine, jobs: list[Callable[[], Served]]) -> list[Served]:
    """Run every job in a thread of its own; what they give, in order. The first error of a thread is raised here."""
    results: list[Any] = [None] * len(jobs)
    errors: list[BaseException] = []

    def run(i: int) -> None:
        try:
            results[i] = jobs[i]()
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,), name=f"micro-batch-{i}") for i in range(len(jobs))]
    with engine.recorder.gather():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return results
