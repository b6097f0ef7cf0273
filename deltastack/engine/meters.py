"""What a window of load costs at the server: processor seconds, bytes read and memory of its whole process tree, joules.

Of a server that runs elsewhere nothing of this can be read; then each reading is null with that reason.
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from deltastack.experiment.meter import Counter, Meter, Quantity, Reading
from deltastack.experiment.meter.counters import FunctionCounter
from deltastack.experiment.meter.machine_counters import default_counters
from deltastack.experiment.meter.memory import Sampler, integral_and_peak

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from deltastack.engine.process import Running

ELSEWHERE = "the server was not started here: nobody can read its processes"
SHARED = "several servers are up at once: the machine's joules are of all of them"
_SCHEDULED = 2
"""CPUCLOCK_SCHED of the kernel: time on a processor."""
MEMORY_PERIOD_S = 0.5
"""A look at one server costs some milliseconds of this process, none of the server's."""


@dataclass(slots=True)
class Spent:
    """Readings of one window or of several; filled when a window ends without an error."""

    readings: Mapping[Quantity, Reading] = field(default_factory=dict)

    def plus(self, other: Spent) -> Spent:
        """Both windows together; a reading that one of them lacks is null with that reason, a peak is the larger one."""
        if not self.readings or not other.readings:
            return Spent(self.readings or other.readings)
        return Spent({q: _added(q, r, other.readings[q]) for q, r in self.readings.items()})

    def value(self, quantity: Quantity) -> float | None:
        """The amount, or None where nobody could read it."""
        reading = self.readings.get(quantity)
        return None if reading is None else reading.value


def _added(quantity: Quantity, one: Reading, other: Reading) -> Reading:
    if one.value is None or other.value is None:
        return one if one.value is None else other
    peak = quantity is Quantity.MEMORY_PEAK_BYTE
    return one._replace(value=max(one.value, other.value) if peak else one.value + other.value)


class ServerMeter:
    """Windows over one server; ``shared``: further servers of the bench are up and have their turns between this one's.

    Servers that are up together share the pages of their files, so that a proportional share would depend on the others. Their
    memory is then the resident set, and a turn, which is short, takes it from the last look.
    """

    def __init__(self, server: Running, *, shared: bool = False) -> None:
        """Take the server's processes as they are now where it is ``shared``, else look for them in every reading."""
        self._everybody, self._server = server, server.as_known() if shared else server
        self._meter, self._shared = Meter(counters(self._server, shared=shared)), shared
        self._field, self._source = ("Rss:", "resident set of the tree") if shared else ("Pss:", "smaps_rollup of the tree")
        self._held_byte: float | None = None

    @contextlib.contextmanager
    def window(self, name: str) -> Iterator[Spent]:
        """Meter the body, with its memory sampled."""
        spent = Spent()
        self._held_byte = None
        if self._server.root is None:
            with self._meter.window(name) as seen:
                yield spent
            spent.readings = dict(seen.readings) | _no_memory(ELSEWHERE)
            return
        gauge = Sampler(MEMORY_PERIOD_S, gauge=lambda: memory_byte(self._server, self._field))
        with gauge as sampler, self._meter.window(name) as seen:
            yield spent
        spent.readings = dict(seen.readings) | self._memory(*integral_and_peak(sampler.instants_s, sampler.gauges_byte))

    @contextlib.contextmanager
    def turn(self) -> Iterator[Spent]:
        """Meter one turn of several; a server that is alone has all of its load in one."""
        if not self._shared or self._server.root is None:
            with self.window("load") as spent:
                yield spent
            return
        spent = Spent()
        with self._meter.window("turn") as seen:
            yield spent
        if self._held_byte is None:
            self._held_byte = memory_byte(self._server, self._field)
        wall_s = seen.value(Quantity.WALL_S)
        spent.readings = dict(seen.readings) | self._memory(wall_s * self._held_byte, self._held_byte)

    def whole(self, load: Spent) -> Spent:
        """``load`` as it is; without processor seconds where the server started processes that no turn saw."""
        reading, born = load.readings.get(Quantity.CPU_S), set(self._everybody.tree()) - set(self._server.tree())
        if reading is None or not born:
            return load
        why = f"the server started {len(born)} processes between turns: set experiment.together to false"
        return Spent(dict(load.readings) | {Quantity.CPU_S: reading._replace(value=None, reason=why)})

    def _memory(self, total: float, peak: float) -> dict[Quantity, Reading]:
        readings = {Quantity.MEMORY_BYTE_S: total, Quantity.MEMORY_PEAK_BYTE: peak}
        return {quantity: Reading(value, self._source) for quantity, value in readings.items()}


def counters(server: Running, *, shared: bool = False) -> tuple[Counter, ...]:
    """The counters of a server's process tree, beside the machine's clock and, of a server that is alone, its joules."""
    machine = {c.quantity: c for c in default_counters() if c.quantity in {Quantity.WALL_S, Quantity.ENERGY_J}}
    tree: dict[Quantity, Callable[[Running], float]] = {Quantity.CPU_S: cpu_s, Quantity.IO_READ_BYTE: read_byte}
    why = ELSEWHERE if server.root is None else None
    energy = machine[Quantity.ENERGY_J]
    told = why or energy.reason or (SHARED if shared else None)
    joules = FunctionCounter(quantity=Quantity.ENERGY_J, source=energy.source, reason=told, function=energy.read)
    own = tuple(
        FunctionCounter(quantity=q, source="process tree", reason=why, function=lambda f=function: f(server))  # type: ignore[misc]
        for q, function in tree.items()
    )
    return (machine[Quantity.WALL_S], *own, joules)


def cpu_s(server: Running) -> float:
    """User and system seconds of every process of the tree, and of those that ended and were waited for.

    A process that lives is read from the kernel's clock of it, in nanoseconds; of those that ended the kernel keeps whole ticks.

    Raises:
        OSError: No process is left.
    """
    found = [s for p in server.tree() if (s := _spent_s(p)) is not None]
    if not found:
        raise OSError("no process of the server is left")
    return sum(found)


def read_byte(server: Running) -> float:
    """Bytes that the tree's processes caused to be fetched from the block layer (0 from the page cache)."""
    total = 0.0
    for process in server.tree():
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.io_counters().read_bytes
    return total


def memory_byte(server: Running, what: str = "Pss:") -> float:
    """Proportional set size of the tree: a page that n processes share counts 1/n in each; ``Rss:`` counts it whole."""
    total = 0.0
    for process in server.tree():
        with contextlib.suppress(OSError, psutil.Error):
            total += _rollup_byte(process.pid, what)
    return total


def _rollup_byte(pid: int, what: str) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(what):
            return 1024 * float(line.split()[1])
    return 0.0


def _spent_s(process: psutil.Process) -> float | None:
    """Seconds of one process and of its children that ended; None where it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        ticks = process.cpu_times()
        own_s = clock_s(process.pid)
        ended_s = float(ticks.children_user + ticks.children_system)
        return ended_s + (float(ticks.user + ticks.system) if own_s is None else own_s)
    return None


def clock_s(pid: int) -> float | None:
    """Processor seconds of all threads of ``pid`` on its own clock; None where the kernel has no such clock.

    Linux: the number of a process's clock is ``(~pid << 3) | 2`` (``clock_getcpuclockid`` in glibc), its step is a nanosecond;
    the ticks of /proc are 10 ms, a tenth of a short run.
    """
    if sys.platform != "linux":
        return None
    try:
        return time.clock_gettime((~pid << 3) | _SCHEDULED)
    except OSError:
        return None


def _no_memory(why: str) -> dict[Quantity, Reading]:
    return {q: Reading(None, "none", why) for q in (Quantity.MEMORY_BYTE_S, Quantity.MEMORY_PEAK_BYTE)}
