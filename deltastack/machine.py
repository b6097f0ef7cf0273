"""What this machine can measure, and what it lacks: checks that only look.

Every check returns what was found and, where something is missing, the exact remedy. A counter that is
absent is reported as absent with its reason; nothing is ever read as zero.
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

State = Literal["ok", "absent", "fail"]

NEED_DISK_BYTES = 1e9
"""The environment is already there when a check runs; results and caches stay below this (Source: this project)."""
BUSY_LOAD_PER_CORE = 0.5
"""Above this, neighbours show in every wall time (Source: this project)."""


class Check(NamedTuple):
    """One line of ``deltastack doctor``."""

    name: str
    state: State
    """``ok``; ``absent``: does without, and says what is lost; ``fail``: must be mended."""
    found: str
    remedy: str = ""


def checks(root: Path) -> list[Check]:
    """All checks for the checkout at ``root``, in the order they are shown."""
    return [
        python(),
        pins(root / "constraints.txt"),
        git(),
        disk(root),
        load(),
        *energy(),
        instructions(),
        accelerator(),
    ]


def python() -> Check:
    """The interpreter is one that the pins were resolved for."""
    found = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Check("python", "ok" if good else "fail", found, "" if good else "make clean run PYTHON=python3.11")


def pins(constraints: Path) -> Check:
    """Every installed package has the version that constraints.txt names."""
    wanted = dict(_pinned(constraints.read_text().splitlines()))
    installed = {_normal(d.name): d.version.split("+")[0] for d in metadata.distributions()}
    differ = [
        f"{n} {installed[n]} (pinned {', '.join(sorted(v))})"
        for n, v in wanted.items()
        if n in installed and installed[n] not in v
    ]
    if differ:
        return Check("pins", "fail", f"{len(differ)} differ: {'; '.join(differ[:3])}", "make clean run")
    here = sum(n in installed for n in wanted)
    return Check("pins", "ok", f"{here} packages at their pinned versions")


def git() -> Check:
    """DVC and the provenance of every result need git."""
    path = shutil.which("git")
    return Check("git", "ok" if path else "fail", "found" if path else "not found", "" if path else "apt-get install git")


def disk(root: Path) -> Check:
    """Room for results and caches."""
    free = shutil.disk_usage(root).free
    good = free >= NEED_DISK_BYTES
    return Check(
        "disk", "ok" if good else "fail", f"{free / 1e9:.1f} GB free", "" if good else f"free {NEED_DISK_BYTES / 1e9:.0f} GB"
    )


def load() -> Check:
    """Neighbours that the run queue shows."""
    cores = os.cpu_count() or 1
    now = os.getloadavg()[0]
    busy = now / cores > BUSY_LOAD_PER_CORE
    words = f"load {now:.1f} on {cores} cores"
    return Check(
        "load", "absent" if busy else "ok", words, "measure when the machine is quiet, or with BUDGET=long" if busy else ""
    )


def energy() -> list[Check]:
    """Counters of joules: RAPL for the processor, NVML for accelerators."""
    domains = sorted(Path("/sys/class/powercap").glob("intel-rapl:*/energy_uj"))
    readable = [d for d in domains if os.access(d, os.R_OK)]
    if readable:
        rapl = Check("energy: RAPL", "ok", f"{len(readable)} domains")
    elif domains:
        rapl = Check("energy: RAPL", "absent", "present but not readable", "run zeusd, or give read access to energy_uj")
    else:
        rapl = Check("energy: RAPL", "absent", "no counter on this machine", "joules stay null on the testbed")
    nvml = shutil.which("nvidia-smi")
    gpu = (
        Check("energy: NVML", "ok", "nvidia-smi found")
        if nvml
        else Check("energy: NVML", "absent", "no NVIDIA driver", "as above")
    )
    return [rapl, gpu]


def instructions() -> Check:
    """Whether a hardware instruction counter can be opened."""
    sources = Path("/sys/bus/event_source/devices")
    good = (sources / "cpu").exists() or (sources / "cpu_core").exists()
    if good:
        return Check("instructions", "ok", "hardware counter present")
    return Check("instructions", "absent", "no hardware counter (virtual machine)", "time and exact work are used instead")


def accelerator() -> Check:
    """Whether the testbed can run on CUDA."""
    present = Path("/dev/nvidia0").exists()
    return Check(
        "accelerator",
        "ok" if present else "absent",
        "CUDA device" if present else "none",
        "" if present else "testbed runs on the CPU",
    )


def failed(found: Iterable[Check]) -> bool:
    """Whether something must be mended."""
    return any(c.state == "fail" for c in found)


def _pinned(lines: Iterable[str]) -> Iterable[tuple[str, set[str]]]:
    """Name and allowed versions; a name may be pinned once for each Python."""
    pinned: dict[str, set[str]] = {}
    for line in lines:
        requirement = line.split(";")[0].strip()
        if "==" in requirement and not requirement.startswith("#"):
            name, version = requirement.split("==")
            pinned.setdefault(_normal(name), set()).add(version)
    return pinned.items()


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
