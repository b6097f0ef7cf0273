"""A Dask cluster on loopback against processes of this machine: ``python -m benchmarks.cluster [--scene NAME [DRAWS]]``.

With a scene all its cells run through both, with the draws of this checkout's effort or with DRAWS of them, and their bytes are
compared; nothing is timed against a bound.

Two figures: the speed-up of a sweep from one worker to two, and what a task costs beside its work, by tasks that do nothing.
Every round times each executor once, in turn, so that all of them see the same load; ratios are of medians. Rows are compared.
On a busy machine clocks tell little: the processor seconds of the busiest worker say what two free processors would give.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from deltastack import layers
from deltastack.evaluation import fleet_estimates, sweep
from deltastack.fleet.executor import Processes, Serial
from deltastack.fleet.trace_arrays import requests
from deltastack.workload import settings
from tasks import fleet
from tests.dask_servers import Servers, reciprocal, servers

if TYPE_CHECKING:
    from collections.abc import Callable

    from deltastack.evaluation.fleet_runner import FleetRunner
    from deltastack.fleet.executor import Executor

ROOT = Path(__file__).parents[1]
ROUNDS, TASKS, RATES = 3, 1000, 40
DASK = ("dask x1", "dask x2")
PLATFORMS, PRECISIONS = ("b200_sxm", "h100_sxm", "h200_sxm", "l40s"), ("bf16", "fp8")


def main() -> None:
    """Time every executor in turn, print the ratios, write the raw samples; or compare one scene's cells."""
    if sys.argv[1:2] == ["--scene"]:
        _same_cells(sys.argv[2], int(sys.argv[3]) if sys.argv[3:] else None)
        return
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


def _same_cells(scene: str, draws: int | None) -> None:
    """Every cell of a scene through processes and through Dask: how many, how long, and whether their bytes are equal."""
    digests: dict[str, tuple[str, int]] = {}
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder), 2) as two:
        for name, where in (("processes x2", Processes(2)), ("dask x2", two.executor(ROOT))):
            at = replace(fleet.fleet_runner(ROOT, scene), executor=where)
            at = replace(at, draws=min(draws or at.draws, at.draws))
            start = time.perf_counter()
            digests[name] = _cells(at)
            seconds = time.perf_counter() - start
            print(
                f"{name}: {digests[name][1]:,} rows of {scene}, {at.draws} draws, {seconds:.0f} s, sha256 {digests[name][0][:16]}"
            )
    if len(set(digests.values())) > 1:
        sys.exit("the cells differ")
    print("equal byte for byte")


def _cells(at: FleetRunner) -> tuple[str, int]:
    """A digest of the usage in every cell of the stages baseline, estimate and joint, and how many rows they make."""
    which = [layers.layer(name) for name in fleet.stack(ROOT).layers]
    fleet_estimates.simulate_all(at, which, fleet.stack(ROOT).cells)
    rows = [fleet_estimates.joint_rows(at, which).rows, *(fleet_estimates.delta_rows(at, x).rows for x in which)]
    text = json.dumps(rows, default=str).encode()
    return hashlib.sha256(text).hexdigest(), sum(len(x) for x in rows)


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
