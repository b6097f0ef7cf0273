"""The engine: a real vision-language model that serves sessions, and the places where a technique may reach in.

A technique's ``switch(engine, p)`` is a context manager. It changes nothing itself while no session runs: it registers
what shall be different, and takes that back at exit. Because registrations are named and ranked (``serving``), any set of
techniques can be on at once, entered in any order::

    with engine.override("unload_encoder_after_s", 0.5, by="encoder_unload"):     # a value; one technique at a time
    with engine.register("reshape_hooks", "head_pruning", cut):                   # stored tensors in other shapes
    with engine.register("storage_hooks", "low_precision", to_int8):            # stored tensors, outside the session
    with engine.register("changes", "low_precision", Ranked(Rank.MODULES, "low_precision", swap)):   # the loaded model
    with engine.register("placements", "attention_ffn", lane_of), engine.override("runner", lanes, by="lanes", shared=True):

A session (``run``): the stored file is dropped from the page cache, loaded (``storage``), each batch is served after its
virtual idle gap, and the model is let go of. Components are timed by hooks on the host's parts (``recorder``); a runner with
threads uses ``engine.recorder.gather``, ``worker`` and ``paused``, and serves its micro-batches by ``engine.serve``.

Nothing of a session outlives it: after ``run`` the model holds no weights, and after the switches' exits ``serving``
equals what it was before them.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Literal

from deltastack.errors import EvidenceError, OutOfValidityError
from deltastack.model import Component
from deltastack.testbed.vlm import decoding, lifecycle, students
from deltastack.testbed.vlm.memory_integral import Residence
from deltastack.testbed.vlm.recorder import Recorder
from deltastack.testbed.vlm.serving import ServingConfig
from deltastack.testbed.vlm.session import Outcome, Served

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from deltastack.testbed.vlm.device import Device
    from deltastack.testbed.vlm.pruned_files import Parts
    from deltastack.testbed.vlm.served_model import Batch, Host
    from deltastack.testbed.vlm.serving import Layout
    from deltastack.testbed.vlm.students import Students

Value = Literal["layout", "runner", "encode_text", "unload_encoder_after_s", "micro_batches", "student"]
Collection = Literal["reshape_hooks", "storage_hooks", "changes", "placements", "batch_hooks"]


class Engine:
    """One model on one device, with its stored files in ``folder``. Not for two threads at once."""

    def __init__(  # noqa: PLR0913 - one keyword a part
        self, *, host: Host, base: Path, folder: Path, device: Device, layout: Layout, random_weights: bool = False
    ) -> None:
        """Take a host without weights and the file that holds them.

        Args:
            host: The model; its parameters are empty until a session loads them.
            base: The baseline's tensors, as safetensors in the serving dtype.
            folder: Where stored files of other layouts and contents are kept; written outside sessions.
            device: Where it runs.
            layout: How the baseline's file is read.
            random_weights: Whether the model never learned anything, so that it is sure of nothing.
        """
        self.student_provider: Students = students.nobody("none was taught")
        """Who can be served in the model's place; ``models.engine`` says so for its profiles."""
        self.retrained: Parts | None = None
        """Pruned parts that were trained again; only the trained model has them (``models.engine``)."""
        self.host, self.device = host, device
        self.serving = ServingConfig(layout=layout)
        self.base, self.folder = base, folder
        self.random_weights = random_weights
        self.awake = True
        """Whether the encoder's weights are there (inside a session)."""
        self._holders: dict[str, list[str]] = {}
        self._recorder: Recorder | None = None
        self.residence = Residence()

    @property
    def recorder(self) -> Recorder:
        """The session's component timer.

        Raises:
            EvidenceError: No session is under way.
        """
        if self._recorder is None:
            raise EvidenceError("no session is under way: components are timed only inside Engine.run")
        return self._recorder

    @contextlib.contextmanager
    def override(self, name: Value, value: Any, *, by: str, shared: bool = False) -> Iterator[None]:
        """``serving.NAME`` is ``value`` inside.

        With ``shared``, techniques that ask for the same value under the same ``by`` hold it together (one runner with
        lanes for every placement).

        Raises:
            OutOfValidityError: Another technique holds it.
        """
        holders = self._holders.setdefault(name, [])
        if holders and not (shared and holders[-1] == by):
            raise OutOfValidityError(f"'{by}' and '{holders[-1]}' both want '{name}': they cannot be on together")
        before = getattr(self.serving, name)
        holders.append(by)
        setattr(self.serving, name, value)
        try:
            yield
        finally:
            holders.pop()
            setattr(self.serving, name, before)

    @contextlib.contextmanager
    def register(self, name: Collection, by: str, value: Any) -> Iterator[None]:
        """``serving.NAME`` has one more entry inside.

        Raises:
            OutOfValidityError: The technique has added to it already.
        """
        entries: dict[str, Any] = getattr(self.serving, name)
        if by in entries:
            raise OutOfValidityError(f"'{by}' is on already: '{name}' holds it")
        entries[by] = value
        try:
            yield
        finally:
            del entries[by]

    def stored(self) -> Path:
        """The file that the next session loads, written now if it is not there (outside the session's window)."""
        return lifecycle.stored_file(self)

    def run(self, batches: Sequence[Batch]) -> Outcome:
        """Serve one session from a cold start to the end, and say where its time and memory went.

        Raises:
            EvidenceError: A parameter that no tensor filled.
        """
        path = self.stored()
        cold_byte = lifecycle.chill(path)
        self._recorder = recorder = Recorder(self.device.synchronise if self.device.waits else None)
        self.residence = Residence()
        served: list[Served] = []
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(students.shortened(self.host.layers, self.serving.student))
                with recorder.within(Component.STORAGE):
                    asked_byte = stack.enter_context(lifecycle.awake(self, path))
                load_s = recorder.total()
                for batch in batches:
                    self._idle(batch, path)
                    served.append(self._timed(batch))
                recorder.enter(Component.STORAGE)
            recorder.leave()
            amounts, (wall_s, cpu_s) = recorder.amounts(), recorder.total()
        finally:
            self._recorder = None
        return Outcome(
            served=tuple(served),
            amounts=self.residence.merged(amounts),
            wall_s=wall_s,
            cpu_s=cpu_s,
            load_s=load_s,
            asked_byte=asked_byte,
            cached_byte_before=cold_byte,
        )

    def serve(self, batch: Batch) -> Served:
        """One batch on the calling thread: prefill, then greedy decoding with a cache."""
        return decoding.serve(self, batch)

    def _timed(self, batch: Batch) -> Served:
        """One batch by the runner that is switched on; the weights and the cache are held meanwhile."""
        began_s, _ = self.recorder.total()
        served = (self.serving.runner or Engine.serve)(self, batch)
        ended_s, _ = self.recorder.total()
        self.residence.serve(ended_s - began_s, served.cache_byte)
        return served

    def _idle(self, batch: Batch, path: Path) -> None:
        """Account for the gap before ``batch``, and have the encoder there if it is needed."""
        lifecycle.idle(self, batch, path)
