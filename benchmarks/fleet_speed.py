"""How fast the serving simulator is, against its plain-Python oracle and against Vidur, and on a week of requests.

Bounds: 1,000,000 requests/s on one core for 100,000 requests of the default mix; 1,000 times Vidur on the same requests;
1,000,000 requests of a week for 32 deployments in 120 s on 2 threads and 2 GiB. Speeds count processor time
of one thread, the week wall time. The repeats are interleaved; every sample is written to benchmarks/results.
"""

from __future__ import annotations

import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks._vidur import run_vidur
from deltastack.fleet.simulator import Config, Requests, percentiles, simulate, simulate_each, ttft_s
from deltastack.workload import settings
from deltastack.workload.generate import generate
from tests.fakes import fake_tables
from tests.fleet.simulator.oracle import Oracle

if TYPE_CHECKING:
    import pandas as pd

    from deltastack.fleet.operators.tables import OperatorTables
    from deltastack.fleet.simulator import Result

ROOT = Path(__file__).parents[1]
COUNT, RATES, REPEATS = 100_000, (5.0, 8.0, 12.0), 5
ORACLE_COUNT, VIDUR_COUNT, WEEK_COUNT = 1_000, 5_000, 1_000_000
WEEK_S, WEEK_BOUND_S, MEMORY_BOUND_BYTES = 7 * 86400.0, 120.0, 2 * 2**30
BOUND_RATE, BOUND_VIDUR, BOUND_APART = 1e6, 1e3, 1e-3
SERVER = Config(kv_capacity_tokens=380_000, host_step_s=7.4e-4, host_sequence_s=2.8e-5)
"""Qwen3-VL-8B in bf16 on one H100 of 80 GB, host overhead of the order that calibration finds."""


def main() -> None:
    """Run, print, write."""
    tables, found = fake_tables(), {}
    print(f"operator times: {tables.model} on {tables.platform} (speed does not depend on their values)")
    _first_call(tables)
    mix = _mix(COUNT)
    for rate in RATES:
        found[f"rate_{rate:g}"] = _speed(tables, _poisson(mix, rate), rate)
    eight = _poisson(mix, 8.0)
    found["oracle_s"] = _oracle(tables, _head(eight, ORACLE_COUNT))
    found["vidur"] = _vidur(tables, _head(eight, VIDUR_COUNT))
    found["week"] = _week(tables)
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "fleet_speed.json").write_text(json.dumps(found, indent=2) + "\n")


def _first_call(tables: OperatorTables) -> None:
    """Compile, or load what an earlier process compiled."""
    start = time.perf_counter()
    simulate(tables, _poisson(_mix(100), 1.0), SERVER)
    print(f"first call: {time.perf_counter() - start:.1f} s (compiled once per change of the simulator's text)")


def _mix(count: int, duration_s: float = 86400.0) -> Requests:
    """The generator's default mix, in its own arrivals."""
    chosen = settings.load(ROOT)
    return _requests(generate(chosen.mix, chosen.images, requests=count, duration_s=duration_s, seed=1))


def _requests(frame: pd.DataFrame) -> Requests:
    """The columns of a workload, nothing reused."""
    names = ("images", "image_tokens", "prompt_tokens", "output_tokens")
    none = np.zeros(len(frame), np.int64)
    columns = {name: frame[name].to_numpy(np.int64) for name in names}
    arrival_s = frame["arrival_s"].to_numpy(np.float64)
    return Requests(arrival_s=arrival_s, cached_tokens=none, cached_images=none, delay_s=none * 1.0, **columns)


def _poisson(requests: Requests, rate: float) -> Requests:
    """The same requests arriving at a steady rate [1/s]."""
    gaps_s = np.random.default_rng(2).exponential(1 / rate, requests.arrival_s.size)
    return replace(requests, arrival_s=np.cumsum(gaps_s))


def _head(requests: Requests, count: int) -> Requests:
    """The first requests."""
    return Requests(**{name: getattr(requests, name)[:count] for name in Requests.__slots__})


def _verdict(*, met: bool) -> str:
    return "met" if met else "MISSED"


def _timed(tables: OperatorTables, requests: Requests, config: Config) -> tuple[float, Result]:
    """Seconds of this thread's own processor time: one core, whatever else the machine does."""
    start = time.thread_time()
    result = simulate(tables, requests, config)
    return time.thread_time() - start, result


def _speed(tables: OperatorTables, requests: Requests, rate: float) -> dict[str, Any]:
    """Requests a second at one rate, with jumps and step by step, and how far the two are apart."""
    runs = [
        (_timed(tables, requests, SERVER), _timed(tables, requests, replace(SERVER, macro_steps=False))) for _ in range(REPEATS)
    ]
    jump_s, step_s = ([run[i][0] for run in runs] for i in (0, 1))
    jump, step = runs[0][0][1], runs[0][1][1]
    p99, single = (percentiles(ttft_s(result))["p99"] or 0.0 for result in (jump, step))
    apart = max(abs(p99 / single - 1), abs(jump.attention_s / step.attention_s - 1), abs(jump.kv_token_s / step.kv_token_s - 1))
    speed, single_speed = (COUNT / statistics.median(samples) for samples in (jump_s, step_s))
    batch = jump.decode_sequence_steps / jump.decode_steps
    print(
        f"{rate:4g} requests/s, mean batch {batch:.1f}: {speed:,.0f} simulated requests/s"
        f" (bound {BOUND_RATE:,.0f}: {_verdict(met=speed >= BOUND_RATE)}); single steps {single_speed:,.0f}/s,"
        f" apart by {apart:.1e} (bound 1e-3: {_verdict(met=apart <= BOUND_APART)})"
    )
    return {"jump_s": jump_s, "single_s": step_s, "apart": apart}


def _oracle(tables: OperatorTables, requests: Requests) -> dict[str, float]:
    """Seconds of the oracle and of single steps on the same requests, and their largest difference."""
    start = time.thread_time()
    want = Oracle(tables, requests, SERVER).run()
    oracle_s = time.thread_time() - start
    ours_s, got = min((_timed(tables, requests, SERVER) for _ in range(REPEATS)), key=lambda run: run[0])
    apart = float(np.max(np.abs(got.finish_s / np.array(want["finish_s"]) - 1)))
    ratio = oracle_s / ours_s
    print(f"oracle: {oracle_s:.2f} s for {ORACLE_COUNT:,} requests, {ratio:,.0f} times ours; finish times apart by {apart:.1e}")
    return {"oracle_s": oracle_s, "ours_s": ours_s, "apart": apart}


def _vidur(tables: OperatorTables, requests: Requests) -> dict[str, Any]:
    """Vidur (PyPI) on the same prompt and output tokens, in an environment made for it; why not, where it does not run."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            peer = run_vidur(Path(folder), requests)
        except subprocess.CalledProcessError as error:
            why = (error.stderr or error.stdout or "").strip().splitlines()[-1:]
            print(f"vidur: not compared, {Path(error.cmd[0]).name} failed: {' '.join(why)}")
            return {"why_not": why}
    ours_s = statistics.median(_timed(tables, requests, SERVER)[0] for _ in range(REPEATS))
    ratio = peer["seconds"] / ours_s
    print(
        f"vidur {peer['version']}: {peer['requests'] / peer['seconds']:,.0f} requests/s with step times for free; ours"
        f" {VIDUR_COUNT / ours_s:,.0f} on the same {VIDUR_COUNT:,}: {ratio:,.0f} times"
        f" (bound {BOUND_VIDUR:,.0f}: {_verdict(met=ratio >= BOUND_VIDUR)})"
    )
    return {**peer, "ours_s": ours_s}


def _week(tables: OperatorTables) -> dict[str, float]:
    """A week of a million requests for 32 deployments, in two threads."""
    week = _mix(WEEK_COUNT, WEEK_S)
    reused = replace(week, cached_tokens=week.prompt_tokens // 3, cached_images=week.images // 2)
    switches = itertools.product((week, reused), (0, 1), ("mixed", "prefill_first"), ("on_demand", "reserve"), (1, 2))
    cells = [
        (tables, trace, replace(SERVER, encoder_pool=pool, policy=policy, kv_policy=kv_policy, replicas=replicas))
        for trace, pool, policy, kv_policy, replicas in switches
    ]
    start = time.perf_counter()
    spans_s = simulate_each(cells, lambda result: result.span_s, threads=2)
    took_s = time.perf_counter() - start
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    met = took_s < WEEK_BOUND_S and peak_bytes < MEMORY_BOUND_BYTES
    print(
        f"week: {WEEK_COUNT:,} requests for {len(spans_s)} deployments in {took_s:.1f} s on 2 threads,"
        f" peak {peak_bytes / 2**30:.2f} GiB (bounds {WEEK_BOUND_S:g} s, 2 GiB: {_verdict(met=met)})"
    )
    return {"seconds": took_s, "peak_bytes": float(peak_bytes)}


if __name__ == "__main__":
    main()
