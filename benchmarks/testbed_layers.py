"""The table of docs/testbed.md: every technique and resource that was measured, from data/delta/measured and data/quality.

    dvc repro measure@LAYER (each), or python -m tasks.measure LAYER; then
    python -m benchmarks.testbed_layers [LAYER ...]

Δ of a session's total with the 95 % interval of paired log ratios over blocks; the word is by the A/A floor of the same
experiment, as everywhere. Amounts that are the same in every block are exact.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deltastack.contracts import DELTA, QUALITY
from deltastack.experiment.tables import AA_TWIN
from deltastack.statistics import aa_noise
from deltastack.statistics.nested_interval import interval

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
RESOURCES = ("time_s", "cpu_s", "memory_byte_s", "io_byte")
LEAST_SPREAD = 1e-12


def log_ratios(frame: pd.DataFrame, technique: str, resource: str) -> NDArray[np.float64]:
    """ln(optimized / base) of the session's totals, (blocks,); empty where one was not read."""
    rows = frame[(frame["technique"] == technique) & (frame["resource"] == resource)]
    totals = rows.groupby("replicate")[["base", "optimized"]].sum(min_count=1).dropna()
    ratios: NDArray[np.float64] = np.log(totals["optimized"] / totals["base"]).to_numpy()
    return ratios


def cell(ratios: NDArray[np.float64], again: NDArray[np.float64]) -> str:
    """Δ, interval and word; exact where no block differs."""
    if len(ratios) < 2:  # noqa: PLR2004 - a spread needs two
        return "not read"
    if ratios.std() < LEAST_SPREAD:
        return f"{-np.expm1(ratios.mean()):+.1%} exactly"
    found = interval([ratios])
    floor = aa_noise.floor(np.ones(len(again)), np.exp(again))
    word = aa_noise.resolve(found.delta, found.low, found.high, floor)
    return f"{found.delta:+.1%} [{found.low:+.1%}, {found.high:+.1%}] {word}"


def accuracy(layer: str) -> dict[str, str]:
    """Technique to its change of accuracy with the interval, in points."""
    frame = QUALITY.read(ROOT / "data" / "quality" / "measured" / f"{layer}.parquet")
    rows = frame[frame["metric"] == "accuracy"].dropna(subset=["change"])
    return {
        r.subject.partition("/")[2]: f"{100 * r.change:+.2f} [{100 * r.lo:+.2f}, {100 * r.hi:+.2f}]" for r in rows.itertuples()
    }


def show(layer: str) -> None:
    """Print one layer as rows of a Markdown table."""
    frame = DELTA.read(ROOT / "data" / "delta" / "measured" / f"{layer}.parquet")
    points, blocks = accuracy(layer), frame["replicate"].nunique()
    print(f"\n{layer}: {blocks} blocks on {frame['host'].iloc[0]}\n")
    print("| technique | " + " | ".join(RESOURCES) + " | accuracy, points |\n" + "|---" * (len(RESOURCES) + 2) + "|")
    for technique in frame["technique"].unique():
        cells = [cell(log_ratios(frame, technique, r), log_ratios(frame, AA_TWIN, r)) for r in RESOURCES]
        print(f"| {technique} | " + " | ".join(cells) + f" | {points.get(technique, '')} |")


def main(layers: list[str] | None = None) -> None:
    """Print the layers named, or all that were measured."""
    found = sorted(p.stem for p in (ROOT / "data" / "delta" / "measured").glob("*.parquet"))
    for layer in layers or found:
        show(layer)


if __name__ == "__main__":
    main(sys.argv[1:])
