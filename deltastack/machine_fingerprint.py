"""The host fingerprint: samples from different hosts are never pooled, and the difference is named."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path

SIMULATED = "simulation"
"""The ``host`` of every simulated row: the fleet bench gives the same bytes on every machine."""


def describe(device: str = "cpu") -> dict[str, str]:
    """What makes two measurements comparable: processor, cores, kernel, interpreter, torch and device, in words."""
    return {
        "cpu": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": _version("torch"),
        "transformers": _version("transformers"),
        "device": device,
    }


def fingerprint(device: str = "cpu") -> str:
    """One line that is equal exactly where ``describe`` is equal."""
    return " | ".join(f"{k}={v}" for k, v in describe(device).items())


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
