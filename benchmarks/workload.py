"""A million rows described, against pandas.read_csv of the same file, interleaved.

Bound: 1,000,000 rows in under 5 s. Prints seconds, rows/s and the ratio; writes every sample.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from deltastack.workload import describe, settings
from deltastack.workload.generate import generate
from deltastack.workload.readers import read

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS, REPEATS, BOUND_S = 1_000_000, 3, 5.0
ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run, print, write."""
    chosen = settings.load(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "million.csv"
        _write(path, generate(chosen.mix, chosen.images, requests=ROWS, duration_s=7 * 86400.0, seed=1))
        samples: dict[str, list[float]] = {"deltastack": [], "pandas.read_csv": []}
        for _ in range(REPEATS):
            samples["deltastack"].append(_seconds(lambda: describe.describe(read(path, chosen.images).frame)))
            samples["pandas.read_csv"].append(_seconds(lambda: pd.read_csv(path, parse_dates=["TIMESTAMP"])))
    ours, peer = (statistics.median(samples[k]) for k in samples)
    print(f"workload describe: {ours:.2f} s for {ROWS:,} rows ({ROWS / ours:,.0f} rows/s; bound {BOUND_S} s)")
    print(f"  ratio to pandas.read_csv of the same file: {ours / peer:.2f}")
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "workload.json").write_text(json.dumps({"rows": ROWS, "samples_s": samples}, indent=2) + "\n")


def _write(path: Path, frame: pd.DataFrame) -> None:
    stamp = (pd.Timestamp("2024-10-15T12:00:00Z") + pd.to_timedelta(frame.arrival_s, unit="s")).dt.strftime(
        "%Y-%m-%dT%H:%M:%S.%fZ"
    )
    rows = pd.DataFrame(
        {
            "TIMESTAMP": stamp,
            "NumImages": frame.images,
            "ContextTokens": frame.prompt_tokens,
            "GeneratedTokens": frame.output_tokens,
        }
    )
    rows.to_csv(path, index=False)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
