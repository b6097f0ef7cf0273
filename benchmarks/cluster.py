"""A Dask cluster on loopback against processes of this machine: ``python -m benchmarks.cluster``.

Two figures: the speed-up of a sweep from one worker to two, and what a task costs beside its work, by tasks that do nothing.
Every round times each executor once, in turn, so that all of them see the same load; ratios are of medians. Rows are compared.
On a busy machine clocks tell little: the processor seconds of the busiest worker say what two free processors would give.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from deltastack.evaluation import sweep
from deltastack.fleet.executor import Processes, Serial
from deltastack.fleet.trace_arrays import requests
from deltastack.workload import settings
from tasks import fleet
from tests.dask_servers import Servers, reciprocal, servers

if TYPE_CHECKING:
    from collections.abc import Callable

    from deltastack.fleet.executor import Executor

ROOT = Path(__file__).parents[1]
ROUNDS, TASKS, RATES = 3, 1000, 40
DASK = ("dask x1", "dask x2")
PLATFORMS, PRECISIONS = ("b200_sxm", "h100_sxm", "h200_sxm", "l40s"), ("bf16", "fp8")


def main() -> None:
    """Time every executor in turn, print the ratios, write the raw samples."""
    scene = fleet.scene(ROOT, "assistant")
    trace = requests(scene.workload.frame(ROOT, settings.load(ROOT)))
    work = sweep.prepared(ROOT, [scene], [trace], 1)
    points = sweep.points(work, PLATFORMS, PRECISIONS, list(np.geomspace(1, 64, RATES)))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        one, two = (stack.enter_context(servers(_made(Path(folder) / str(n)), n)) for n in (1, 2))
        found = _rounds(work, points, one, two)
    _told(found, len(points))
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "cluster.json").write_text(json.dumps(found, indent=2) + "\n")


def _rounds(work: sweep.Sweep, points: list[sweep.Point], one: Servers, two: Servers) -> dict[str, list[float]]:
    """Seconds by what was timed, and the load before each round."""
    executors: dict[str, Executor] = {
        "serial": Serial(),
        "processes x1": Processes(1),
        "processes x2": Processes(2),
        "dask x1": one.executor(ROOT),
        "dask x2": two.executor(ROOT),
    }
    wanted = Serial().map(work.row, points)  # compiles what is not compiled yet
    for name, where in executors.items():
        if where.map(work.row, points) != wanted:
            sys.exit(f"{name} gives other rows")
    found: dict[str, list[float]] = {"load": []}
    for _ in range(ROUNDS):
        found["load"].append(os.getloadavg()[0])
        for name, where in executors.items():
            before = [_processor_s(at) for at in (one, two)]
            found.setdefault(f"sweep, {name}", []).append(_seconds(lambda at=where: at.map(work.row, points)))
            if name in DASK:
                at = (one, two)[DASK.index(name)]
                spent = [now - was for now, was in zip(_processor_s(at), before[DASK.index(name)], strict=True)]
                found.setdefault(f"busiest, {name}", []).append(max(spent))
            found.setdefault(f"start, {name}", []).append(_seconds(lambda at=where: at.map(reciprocal, [1])))
            found.setdefault(f"tasks, {name}", []).append(_seconds(lambda at=where: at.map(reciprocal, range(1, TASKS + 1))))
    return found


def _processor_s(at: Servers) -> list[float]:
    """Processor seconds of each worker so far."""
    times = [psutil.Process(worker.pid).cpu_times() for worker in at.workers]
    return [t.user + t.system for t in times]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _told(found: dict[str, list[float]], points: int) -> None:
    middle = {name: statistics.median(values) for name, values in found.items()}
    print(f"load {min(found['load']):.1f} to {max(found['load']):.1f} on {os.cpu_count()} processors, {ROUNDS} rounds, medians")
    for name in ("serial", "processes x1", "processes x2", "dask x1", "dask x2"):
        task_ms = 1e3 * (middle[f"tasks, {name}"] - middle[f"start, {name}"]) / (TASKS - 1)
        whole_s = middle[f"sweep, {name}"]
        start_s = middle[f"start, {name}"]
        print(f"{name:14s} sweep of {points} points {whole_s:6.2f} s   start {start_s:5.2f} s   task {task_ms:6.3f} ms")
    for name in ("processes", "dask"):
        one, two = middle[f"sweep, {name} x1"], middle[f"sweep, {name} x2"]
        print(f"{name}: {one / two:.2f} times as fast with two workers as with one")
    one, two = (middle[f"busiest, {name}"] for name in DASK)
    print(f"dask: the busiest worker computes {one:.2f} s of one, {two:.2f} s of two: {one / two:.2f} times as fast if free")
    print("rows are equal in all of them")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
