"""Where a session's time goes: a stack of components, switched by hooks, that cannot lose a moment.

Every change of the top of the stack charges what passed since the last change to the component that was on top. So the
components add up to the session's total by construction, whatever the hooks enclose.

Threads: a thread that serves a micro-batch opens ``worker()`` and has a stack of its own. The wall time during which
the calling thread waits for its workers (``gather()``) is split in proportion to what the workers were busy with;
processor time is the workers' own.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deltastack.model import Component, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn
    from torch.utils.hooks import RemovableHandle

Clock = tuple[float, float]
Amounts = dict[Component, float]


@dataclass(slots=True)
class _Lane:
    """One thread's stack, and what it has charged so far."""

    read: Callable[[], Clock]
    stack: list[Component]
    last: Clock
    wall: Amounts = field(default_factory=dict)
    cpu: Amounts = field(default_factory=dict)

    def switch(self) -> None:
        """Charge what passed since the last switch to the top of the stack."""
        now = self.read()
        top = self.stack[-1]
        self.wall[top] = self.wall.get(top, 0.0) + now[0] - self.last[0]
        self.cpu[top] = self.cpu.get(top, 0.0) + now[1] - self.last[1]
        self.last = now


class Recorder:
    """Times components of one session. ``synchronise`` is called before every clock reading."""

    def __init__(
        self,
        synchronise: Callable[[], None] | None = None,
        wall: Callable[[], float] = time.perf_counter,
        cpu: Callable[[], float] = time.process_time,
        thread_cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        """Start charging to ``host``."""
        self._synchronise, self._wall, self._thread_cpu = synchronise, wall, thread_cpu
        main = self._clock(cpu)
        self._main = _Lane(read=main, stack=[Component.HOST], last=main())
        self._local = threading.local()
        self._workers: list[_Lane] = []
        self._lock = threading.Lock()
        self._began = self._main.last

    def enter(self, component: Component) -> None:
        """Charge to ``component`` from now on, until ``leave``."""
        lane = self._lane()
        lane.switch()
        lane.stack.append(component)

    def leave(self) -> None:
        """Charge again to what was charged before the last ``enter``."""
        lane = self._lane()
        lane.switch()
        lane.stack.pop()

    @contextlib.contextmanager
    def within(self, component: Component) -> Iterator[None]:
        """Charge the body to ``component``."""
        self.enter(component)
        try:
            yield
        finally:
            self.leave()

    @contextlib.contextmanager
    def worker(self) -> Iterator[None]:
        """The calling thread gets its own stack; inside, waiting for a lock belongs between ``pause`` and ``resume``."""
        read = self._clock(self._thread_cpu)
        lane = _Lane(read=read, stack=[Component.OTHER], last=read())
        self._local.lane = lane
        try:
            yield
        finally:
            lane.switch()
            del self._local.lane
            with self._lock:
                self._workers.append(lane)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """A worker waits: nothing is charged to its components meanwhile."""
        lane = self._lane()
        lane.switch()
        try:
            yield
        finally:
            lane.last = lane.read()

    @contextlib.contextmanager
    def gather(self) -> Iterator[None]:
        """The calling thread starts workers and waits for them; its wall time is split by what they were busy with."""
        main = self._lane()
        main.switch()
        before = main.last
        yield
        now = main.read()
        with self._lock:
            lanes, self._workers = self._workers, []
        self._split(main, lanes, wall_s=now[0] - before[0], cpu_s=now[1] - before[1])
        main.last = now

    def amounts(self) -> dict[Component, dict[Resource, float]]:
        """Component to time and processor time [s], everything since the start."""
        self._main.switch()
        return {c: {Resource.TIME_S: self._main.wall[c], Resource.CPU_S: self._main.cpu.get(c, 0.0)} for c in self._main.wall}

    def total(self) -> Clock:
        """Wall and processor time since the start [s], read from the clocks and not from the components."""
        now = self._main.read()
        return now[0] - self._began[0], now[1] - self._began[1]

    def hooks(self, component: Component, module: nn.Module) -> tuple[RemovableHandle, RemovableHandle]:
        """Charge every forward of ``module`` to ``component``; the handles take the hooks off again."""

        def before(_module: nn.Module, _inputs: object) -> None:
            self.enter(component)

        def after(_module: nn.Module, _inputs: object, _output: object) -> None:
            self.leave()

        return module.register_forward_pre_hook(before), module.register_forward_hook(after, always_call=True)

    def _lane(self) -> _Lane:
        return getattr(self._local, "lane", self._main)

    def _clock(self, cpu: Callable[[], float]) -> Callable[[], Clock]:
        if self._synchronise is None:
            return lambda: (self._wall(), cpu())
        synchronise = self._synchronise

        def read() -> Clock:
            synchronise()
            return self._wall(), cpu()

        return read

    @staticmethod
    def _split(main: _Lane, lanes: list[_Lane], *, wall_s: float, cpu_s: float) -> None:
        busy, spent = _sum(x.wall for x in lanes), _sum(x.cpu for x in lanes)
        whole = sum(busy.values())
        shares = {c: b / whole for c, b in busy.items()} if whole > 0 else {main.stack[-1]: 1.0}
        for c, share in shares.items():
            main.wall[c] = main.wall.get(c, 0.0) + share * wall_s
        rest = cpu_s - sum(spent.values())
        for c, amount in (*spent.items(), (Component.HOST, rest)):
            main.cpu[c] = main.cpu.get(c, 0.0) + amount


def _sum(parts: Iterator[Amounts]) -> Amounts:
    total: Amounts = {}
    for part in parts:
        for c, amount in part.items():
            total[c] = total.get(c, 0.0) + amount
    return total
