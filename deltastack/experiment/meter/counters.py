"""Cumulative counters of the operating system: a window is the difference of two reads.

Because every counter only ever grows, windows nest without knowing of each other. A counter opens or says
why it cannot; it never returns a made-up value.
"""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Quantity(StrEnum):
    """What a window can hold; the suffix is the unit."""

    WALL_S = "wall_s"
    RUN_DELAY_S = "run_delay_s"
    """Time this thread was runnable but waited for a processor (Linux schedstat)."""
    CPU_S = "cpu_s"
    """User and system time of this process and its finished children."""
    INSTRUCTIONS = "instructions"
    IO_READ_BYTE = "io_read_byte"
    """Bytes this process caused to be fetched from the block layer (0 when the page cache had them)."""
    IO_WRITE_BYTE = "io_write_byte"
    MEMORY_BYTE_S = "memory_byte_s"
    """Integral of the proportional set size over the window."""
    MEMORY_PEAK_BYTE = "memory_peak_byte"
    ENERGY_J = "energy_j"


class Counter(Protocol):
    """One cumulative counter."""

    @property
    def quantity(self) -> Quantity:
        """What it counts."""
        ...

    @property
    def source(self) -> str:
        """Where it reads, in words for the table."""
        ...

    @property
    def reason(self) -> str | None:
        """Why it cannot be read on this machine; None when it can."""
        ...

    def read(self) -> float:
        """The cumulative value now.

        Raises:
            OSError: The counter went away; the window then has no reading, with this as its reason.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCounter:
    """A counter that is one function; ``probe`` says why it cannot be read, or None."""

    quantity: Quantity
    source: str
    reason: str | None
    function: Callable[[], float]

    def read(self) -> float:
        """The cumulative value now."""
        return self.function()


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
    from deltastack.experiment.meter import energy, perf

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
