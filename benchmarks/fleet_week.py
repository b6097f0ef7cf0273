"""A week of a million requests on 32 deployments, both operating points: seconds and peak memory.

Bound: under 2 minutes on 2 cores, under 2 GiB. The deployments are sizes of the default one: 4 to 35 replicas.
"""

from __future__ import annotations

import json
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deltastack.fleet import accelerator, evaluate, settings
from deltastack.fleet.trace_arrays import requests
from deltastack.model import OperatingPoint, Resource
from deltastack.workload import settings as workload
from deltastack.workload.generate import generate

if TYPE_CHECKING:
    from deltastack.model import Usage

ROWS, WEEK_S, CELLS, THREADS = 1_000_000, 7 * 86400.0, 32, 2
BOUND_S, BOUND_BYTES = 120.0, 2 * 1024**3
ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run, print, write."""
    chosen, known = workload.load(ROOT), settings.load(ROOT)
    trace = requests(generate(chosen.mix, chosen.images, requests=ROWS, duration_s=WEEK_S, seed=1))
    base = known.values.deployment.deployment()
    where = accelerator.load(ROOT, base.platform)

    def one(replicas: int) -> dict[OperatingPoint, Usage]:
        return evaluate.run(replace(base, replicas=replicas), trace, where, known)

    evaluate.observe(evaluate.prepare(base, trace, where, known.values), trace, known)  # compile first
    start, busy = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(one, range(4, 4 + CELLS)))
    took_s, busy_s = time.perf_counter() - start, time.process_time() - busy
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    energy = [u[OperatingPoint.AT_TRACE].total(Resource.ENERGY_J) for u in found]
    print(
        f"fleet week: {took_s:.1f} s for {ROWS:,} requests x {CELLS} deployments, both operating points (bound {BOUND_S:.0f} s)"
    )
    print(f"  {busy_s:.1f} processor seconds: {busy_s / THREADS:.1f} s on {THREADS} cores that do nothing else")
    print(f"  peak memory {peak_bytes / 1024**3:.2f} GiB (bound 2); J a request from {energy[0]:.0f} to {energy[-1]:.0f}")
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    words = {"rows": ROWS, "cells": CELLS, "seconds": took_s, "processor_s": busy_s, "peak_bytes": peak_bytes, "energy_j": energy}
    (results / "fleet_week.json").write_text(json.dumps(words, indent=2) + "\n")


if __name__ == "__main__":
    main()
