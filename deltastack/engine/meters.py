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
_SCHEDULED = 2
"""CPUCLOCK_SCHED of the kernel: time on a processor."""
MEMORY_PERIOD_S = 0.5
"""A look at one server costs some milliseconds of this process, none of the server's."""


@dataclass(slots=True)
class Spent:
    """Readings of one window; filled when it ends without an error."""

    readings: Mapping[Quantity, Reading] = field(default_factory=dict)

    def less(self, part: Spent) -> Spent:
        """What is left of this window without the one inside it."""
        left = {
            q: r if r.value is None or (inner := part.value(q)) is None else r._replace(value=r.value - inner)
            for q, r in self.readings.items()
        }
        return Spent(left)

    def value(self, quantity: Quantity) -> float | None:
        """The amount, or None where nobody could read it."""
        reading = self.readings.get(quantity)
        return None if reading is None else reading.value


@contextlib.contextmanager
def window(server: Running, name: str) -> Iterator[Spent]:
    """Meter the body."""
    spent = Spent()
    meter = Meter(counters(server))
    if server.root is None:
        with meter.window(name) as seen:
            yield spent
        spent.readings = dict(seen.readings) | _no_memory(ELSEWHERE)
        return
    with Sampler(MEMORY_PERIOD_S, gauge=lambda: memory_byte(server)) as sampler, meter.window(name) as seen:
        yield spent
    total, peak = integral_and_peak(sampler.instants_s, sampler.gauges_byte)
    spent.readings = dict(seen.readings) | {
        Quantity.MEMORY_BYTE_S: Reading(total, "smaps_rollup of the tree"),
        Quantity.MEMORY_PEAK_BYTE: Reading(peak, "smaps_rollup of the tree"),
    }


def counters(server: Running) -> tuple[Counter, ...]:
    """The counters of a server's process tree, beside the machine's clock and joules."""
    machine = {c.quantity: c for c in default_counters() if c.quantity in {Quantity.WALL_S, Quantity.ENERGY_J}}
    tree: dict[Quantity, Callable[[Running], float]] = {Quantity.CPU_S: cpu_s, Quantity.IO_READ_BYTE: read_byte}
    why = ELSEWHERE if server.root is None else None
    energy = machine[Quantity.ENERGY_J]
    joules = FunctionCounter(quantity=Quantity.ENERGY_J, source=energy.source, reason=why or energy.reason, function=energy.read)
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


def memory_byte(server: Running) -> float:
    """Proportional set size of the tree: a page that n processes share counts 1/n in each."""
    total = 0.0
    for process in server.tree():
        with contextlib.suppress(OSError, psutil.Error):
            total += _pss_byte(process.pid)
    return total


def _pss_byte(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
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
