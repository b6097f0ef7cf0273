"""Who else used this machine while something was measured: stolen time, load, clock frequency, and the busiest processes.

    others = (busy time of all processors - processor time of this process and its children) / length of the window

so that a neighbour counts that lived too short to be seen by name, or outside this container.

Source: proc(5): /proc/stat counts jiffies of all processors (user, nice, system, idle, iowait, irq, softirq, steal); steal is
time that the hypervisor gave to another guest.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

STEAL = 0.02
"""Stolen time above it is loud: as large as the gap at which a formula still holds."""
OTHERS = 0.25
"""Processors used by others above it are loud: a quarter of one shares caches, memory and turbo with what is measured."""
_STEAL = 7
_BUSY = (0, 1, 2, 5, 6)
_COUNTED = 8
_SHOWN = 3
_LEAST_SHARE = 0.05
_SHORTEST_S = 0.01
"""A tick of the counters."""


@dataclass(slots=True)
class Neighbours:
    """Filled when the watch ends."""

    steal_share: float | None = None
    """Of all processor time in the window; None where the system does not say."""
    others: float | None = None
    """Processors that all other processes used together; None where the system does not say."""
    load: float = 0.0
    frequency_hz: float | None = None
    busiest: list[tuple[str, float]] = field(default_factory=list)
    """Other processes by name with their processors used (1.0 is one whole), at least 0.05; one that ended is not seen."""

    def words(self) -> str:
        """One line for a person."""
        steal = "stolen time unknown" if self.steal_share is None else f"stolen time {self.steal_share:.1%}"
        clock = "" if self.frequency_hz is None else f", clock {self.frequency_hz / 1e9:.2f} GHz"
        others = ", ".join(f"{name} {used:.2f}" for name, used in self.busiest[:_SHOWN])
        return f"{steal}, load {self.load:.1f}{clock}, other processes: {others or 'quiet'}"

    def loud(self) -> list[str]:
        """Why the machine was too loud to call anything right or wrong; empty for a quiet one.

        >>> Neighbours(steal_share=0.05, others=0.1).loud(), Neighbours(others=1.5).loud(), Neighbours(others=0.1).loud()
        (['stolen time 5.0 %'], ['others used 1.50 processors'], [])
        """
        steal, others = self.steal_share or 0.0, self.others or 0.0
        found = [f"stolen time {100 * steal:.1f} %"] if steal > STEAL else []
        return [*found, *([f"others used {others:.2f} processors"] if others > OTHERS else [])]

    def facts(self) -> dict[str, Any]:
        """Plain values for the JSON beside a measured table; ``loud`` is None where nothing could be read."""
        unknown = self.steal_share is None and self.others is None
        return {
            "steal_share": self.steal_share,
            "others_processors": self.others,
            "load": self.load,
            "frequency_hz": self.frequency_hz,
            "busiest": dict(self.busiest[:_SHOWN]),
            "loud": None if unknown else self.loud(),
        }


@contextlib.contextmanager
def watch() -> Iterator[Neighbours]:
    """Watch the machine during the body; this process and its children are no neighbours."""
    found = Neighbours()
    jiffies, times, own_s = _jiffies(), _times(), _own_s()
    yield found
    after = _jiffies()
    if jiffies and after:
        spent = [b - a for a, b in zip(jiffies, after, strict=True)]
        found.steal_share = spent[_STEAL] / max(sum(spent), 1)
        window_s = sum(spent) / os.sysconf("SC_CLK_TCK") / (os.cpu_count() or 1)
        found.busiest = _busiest(times, _times(), window_s)
        busy_s = sum(spent[i] for i in _BUSY) / os.sysconf("SC_CLK_TCK")
        found.others = max(0.0, busy_s - (_own_s() - own_s)) / max(window_s, _SHORTEST_S)
    found.load = os.getloadavg()[0]
    found.frequency_hz = _frequency_hz()


def _jiffies() -> list[int]:
    stat = Path("/proc/stat")
    return [int(x) for x in stat.read_text().splitlines()[0].split()[1 : _COUNTED + 1]] if stat.exists() else []


def _own_s() -> float:
    """Processor seconds of this process and its children so far, ended ones and those that still run."""
    times = os.times()
    running = 0.0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            running += sum(child.cpu_times()[:4])
    return times.user + times.system + times.children_user + times.children_system + running


def _times() -> dict[tuple[int, str], float]:
    """Processor seconds by process, this one and its children left out."""
    own = {os.getpid(), *(c.pid for c in psutil.Process().children(recursive=True))}
    found = {}
    for p in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if p.pid not in own:
                found[p.pid, p.name()] = sum(p.cpu_times()[:2])
    return found


def _busiest(
    before: dict[tuple[int, str], float], after: dict[tuple[int, str], float], window_s: float
) -> list[tuple[str, float]]:
    used: dict[str, float] = {}
    for key, seconds in after.items():
        used[key[1]] = used.get(key[1], 0.0) + (seconds - before.get(key, 0.0)) / max(window_s, 1e-9)
    busy = [(name, share) for name, share in used.items() if share >= _LEAST_SHARE]
    return sorted(busy, key=lambda x: -x[1])


def _frequency_hz() -> float | None:
    info = Path("/proc/cpuinfo")
    clocks = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", info.read_text(), re.MULTILINE) if info.exists() else []
    return max(map(float, clocks)) * 1e6 if clocks else None
