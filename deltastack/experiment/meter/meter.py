"""Windows over counters: nestable, with the meter's own overhead measured.

    with meter.window("decode") as window:
        work()
    window.readings[Quantity.CPU_S].value

A window whose body raises has no readings: a failed measurement yields no row.
"""

from __future__ import annotations

import contextlib
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from deltastack.errors import EvidenceError
from deltastack.experiment.meter import energy, memory
from deltastack.experiment.meter.counters import Counter, Quantity
from deltastack.experiment.meter.machine_counters import default_counters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Reading(NamedTuple):
    """One quantity of one window; ``value`` is None with a ``reason`` where it could not be read."""

    value: float | None
    source: str
    reason: str | None = None


@dataclass(slots=True)
class Window:
    """A named stretch of work; ``readings`` exist only after it ended without an error."""

    name: str
    _readings: dict[Quantity, Reading] | None = field(default=None)

    @property
    def readings(self) -> Mapping[Quantity, Reading]:
        """Quantity to reading.

        Raises:
            EvidenceError: The window is still open, or its work failed.
        """
        if self._readings is None:
            raise EvidenceError(f"window '{self.name}' has no readings: it is open, or its work failed")
        return self._readings

    def value(self, quantity: Quantity) -> float:
        """The number of ``quantity``.

        Raises:
            EvidenceError: It could not be read; the message holds the reason.
        """
        reading = self.readings[quantity]
        if reading.value is None:
            raise EvidenceError(f"window '{self.name}' has no {quantity}: {reading.reason}")
        return reading.value

    def close(self, readings: dict[Quantity, Reading]) -> None:
        """Fix the readings; called once, by the meter."""
        self._readings = readings


class Meter:
    """Reads its counters at the start and the end of every window."""

    def __init__(
        self,
        counters: tuple[Counter, ...] | None = None,
        *,
        memory_period_s: float | None = None,
        synchronise: Callable[[], None] | None = None,
    ) -> None:
        """Take ``counters`` (all of this machine's by default).

        Args:
            counters: What to read.
            memory_period_s: Sample memory this often in every window; None leaves memory unread, with that reason.
            synchronise: Called before each read, so that queued accelerator work is inside its window.
        """
        self._counters = default_counters() if counters is None else counters
        self._memory_period_s = memory_period_s
        self._synchronise = synchronise

    @contextlib.contextmanager
    def window(self, name: str) -> Iterator[Window]:
        """Meter the body."""
        window = Window(name)
        with contextlib.ExitStack() as stack:
            sampler = None
            if self._memory_period_s is not None:
                sampler = stack.enter_context(memory.Sampler(self._memory_period_s))
            start = self._read()
            yield window
            end = self._read()
        readings = _differences(self._counters, start, end)
        readings.update(_memory_readings(sampler))
        window.close(readings)

    def overhead_s(self, repeats: int = 50) -> float:
        """Median wall time of an empty window [s]: what the meter itself adds to a window around it.

        Raises:
            EvidenceError: No wall clock among the counters.
        """
        walls = []
        for _ in range(repeats):
            with self.window("outer") as outer, self.window("inner"):
                pass
            walls.append(outer.value(Quantity.WALL_S))
        return statistics.median(walls)

    def _read(self) -> list[float | OSError]:
        if self._synchronise is not None:
            self._synchronise()
        return [_read_one(c) for c in self._counters]


def _read_one(counter: Counter) -> float | OSError:
    if counter.reason is not None:
        return OSError(counter.reason)
    try:
        return counter.read()
    except OSError as error:
        return error


def _differences(
    counters: tuple[Counter, ...], start: list[float | OSError], end: list[float | OSError]
) -> dict[Quantity, Reading]:
    readings: dict[Quantity, Reading] = {}
    wall_s = None
    for counter, a, b in zip(counters, start, end, strict=True):
        if isinstance(a, OSError) or isinstance(b, OSError):
            readings[counter.quantity] = Reading(None, counter.source, str(a if isinstance(a, OSError) else b))
        elif b < a:
            readings[counter.quantity] = Reading(None, counter.source, f"the counter ran backwards, from {a} to {b}")
        else:
            readings[counter.quantity] = Reading(b - a, counter.source)
            wall_s = b - a if counter.quantity is Quantity.WALL_S else wall_s
    joules = readings.get(Quantity.ENERGY_J)
    if joules is not None and joules.value is not None and wall_s is not None and wall_s < energy.MINIMUM_WINDOW_S:
        why = f"a window of {wall_s:.3f} s is shorter than the {energy.MINIMUM_WINDOW_S} s that the counter needs"
        readings[Quantity.ENERGY_J] = Reading(None, joules.source, why)
    return readings


def _memory_readings(sampler: memory.Sampler | None) -> dict[Quantity, Reading]:
    if sampler is None:
        why = "memory is sampled only in windows that are not timed"
        return {q: Reading(None, "smaps_rollup", why) for q in (Quantity.MEMORY_BYTE_S, Quantity.MEMORY_PEAK_BYTE)}
    total, peak = memory.integral_and_peak(sampler.instants_s, sampler.gauges_byte)
    return {Quantity.MEMORY_BYTE_S: Reading(total, "smaps_rollup"), Quantity.MEMORY_PEAK_BYTE: Reading(peak, "smaps_rollup")}
