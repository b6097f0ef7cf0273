"""Joules through Zeus (RAPL, NVML), where the machine has a counter; never an estimate from load.

Accelerator counters refresh every few tens of milliseconds, so a window shorter than MINIMUM_WINDOW_S gives no
reading (Source: Zeus documentation, 0.16: windows below the update period read 0 J).
"""

from __future__ import annotations

import os
from pathlib import Path

from deltastack.experiment.meter.counters import FunctionCounter, Quantity

MINIMUM_WINDOW_S = 2.0


def energy_counter() -> FunctionCounter:
    """Cumulative joules of every processor package and accelerator that can be read, or the reason for none."""
    reason = _no_rapl()
    if reason is None:
        return FunctionCounter(quantity=Quantity.ENERGY_J, source="rapl through zeus", reason=None, function=_RaplSum())
    try:
        total = _NvmlSum()
    except Exception as error:  # noqa: BLE001 - every NVML binding raises its own tree
        why = f"{reason}; NVML: no accelerator that it can read ({type(error).__name__})"
        return FunctionCounter(quantity=Quantity.ENERGY_J, source="none", reason=why, function=_never)
    return FunctionCounter(quantity=Quantity.ENERGY_J, source="nvml through zeus", reason=None, function=total)


class _RaplSum:
    """Sum of the package domains; Zeus unwraps the counter's overflow."""

    def __init__(self) -> None:
        from zeus.device import get_cpus

        self._cpus = get_cpus()

    def __call__(self) -> float:
        joules = [self._cpus.get_total_energy_consumption(i).cpu_mj / 1e3 for i in range(len(self._cpus))]
        return float(sum(joules))


class _NvmlSum:
    """Sum over accelerators of the driver's energy counter."""

    def __init__(self) -> None:
        from zeus.device import get_gpus

        self._gpus = get_gpus()
        if len(self._gpus) == 0:
            raise LookupError("no accelerator")

    def __call__(self) -> float:
        return float(sum(self._gpus.get_total_energy_consumption(i) / 1e3 for i in range(len(self._gpus))))


def _no_rapl() -> str | None:
    domains = list(Path("/sys/class/powercap").glob("intel-rapl:*/energy_uj"))
    if not domains:
        return "RAPL: no counter on this machine"
    if not all(os.access(d, os.R_OK) for d in domains):
        return "RAPL: the counter is not readable by this user"
    return None


def _never() -> float:
    raise OSError("no energy counter on this machine")
