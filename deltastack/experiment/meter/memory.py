"""Proportional set size of this process and its children: gauge, peak and integral over time.

A gauge is sampled by a thread and integrated by the trapezoid rule; the sampler costs processor time, so it runs
only in windows that ask for memory (``Meter(memory_period_s=...)``), never in windows that are timed.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable


def pss_byte() -> float:
    """Proportional set size of this process and all its live children, in bytes.

    Raises:
        OSError: smaps_rollup cannot be read here.
    """
    me = psutil.Process()
    total = _rollup_byte(me.pid)
    for child in me.children(recursive=True):
        try:
            total += _rollup_byte(child.pid)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between the listing and the look: it holds nothing now
    return total


def integral_and_peak(instants_s: list[float], gauges_byte: list[float]) -> tuple[float, float]:
    """Trapezoid integral [byte s] and the largest sample [byte] of (S,) samples.

    Raises:
        ValueError: Fewer than two samples, or instants that do not increase.
    """
    if len(instants_s) < 2 or len(instants_s) != len(gauges_byte):  # noqa: PLR2004 - a trapezoid has two sides
        raise ValueError("an integral needs at least two samples, one gauge an instant")
    total = 0.0
    for i in range(1, len(instants_s)):
        width = instants_s[i] - instants_s[i - 1]
        if width < 0:
            raise ValueError("samples run backwards in time")
        total += width * (gauges_byte[i] + gauges_byte[i - 1]) / 2
    return total, max(gauges_byte)


class Sampler:
    """Samples a gauge at entry, every ``period_s`` and at exit."""

    def __init__(
        self, period_s: float, gauge: Callable[[], float] = pss_byte, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Remember what to sample and how often."""
        self._period_s, self._gauge, self._clock = period_s, gauge, clock
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.instants_s: list[float] = []
        self.gauges_byte: list[float] = []

    def __enter__(self) -> Self:
        """Take the first sample and start."""
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and take the last sample."""
        self._end.set()
        self._thread.join()
        self._sample()

    def _run(self) -> None:
        while not self._end.wait(self._period_s):
            self._sample()

    def _sample(self) -> None:
        gauge = self._gauge()
        self.instants_s.append(self._clock())
        self.gauges_byte.append(gauge)


def _rollup_byte(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return float(line.split()[1]) * 1024
    raise OSError(f"smaps_rollup of process {pid} has no Pss line")
