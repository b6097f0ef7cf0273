"""The counters of this machine; one that is missing says why."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deltastack.experiment.meter import energy, perf
from deltastack.experiment.meter.counters import FunctionCounter, Quantity

if TYPE_CHECKING:
    from collections.abc import Callable

    from deltastack.experiment.meter.counters import Counter


def cpu_s() -> float:
    """User and system seconds of this process and of children that were waited for."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def run_delay_s() -> float:
    """Run-queue wait of the calling thread, second field of schedstat, nanoseconds there."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def io_read_byte() -> float:
    """Bytes fetched from the block layer on behalf of this process."""
    return _io_field("read_bytes")


def io_write_byte() -> float:
    """Bytes this process sent towards the block layer."""
    return _io_field("write_bytes")


def default_counters() -> tuple[Counter, ...]:
    """Every counter of this machine, the missing ones with their reasons."""
    return (
        FunctionCounter(quantity=Quantity.WALL_S, source="perf_counter", reason=None, function=time.perf_counter),
        FunctionCounter(quantity=Quantity.CPU_S, source="getrusage", reason=None, function=cpu_s),
        _probed(Quantity.RUN_DELAY_S, "schedstat", run_delay_s),
        _probed(Quantity.IO_READ_BYTE, "/proc/self/io", io_read_byte),
        _probed(Quantity.IO_WRITE_BYTE, "/proc/self/io", io_write_byte),
        perf.instruction_counter(),
        energy.energy_counter(),
    )


def _probed(quantity: Quantity, source: str, function: Callable[[], float]) -> FunctionCounter:
    try:
        function()
    except (OSError, ValueError, IndexError, KeyError) as error:
        return FunctionCounter(quantity=quantity, source=source, reason=f"{source} cannot be read: {error}", function=function)
    return FunctionCounter(quantity=quantity, source=source, reason=None, function=function)


def _io_field(name: str) -> float:
    with Path(f"/proc/{os.getpid()}/io").open() as lines:
        fields = dict(line.split(": ") for line in lines)
    return float(fields[name])
