"""How wrong the product is over all cells of a factorial, and how wrong it is with shared mechanisms counted once.

    python -m benchmarks.mechanism_error [FILE ...]

A FILE is a YAML of cases or a CSV, as ``deltastack factorial`` reads them. Without one: the H100's recorded session
(docs/examples/h100_mechanism.yaml), and the testbed's factorial of this checkout. Where data/joint has none, it is measured
first, in a fresh copy: a few minutes. The error is the largest gap over all cells with two layers or more, in points of the base.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks._checkout import copied
from deltastack.analysis import noise_floor
from deltastack.analysis.factorial import factorials
from deltastack.analysis.formula_totals import held
from deltastack.composition import counted_again
from deltastack.contracts import JOINT
from deltastack.decisions.cell_plan import Known, worst_error
from deltastack.model import Resource
from deltastack.outcomes import Formula
from deltastack.own_runs import runs_of
from tasks import outbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.analysis.factorial import Factorial
    from deltastack.own_runs.experiment import Experiment

ROOT = Path(__file__).parents[1]
RECORDED = ROOT / "docs/examples/h100_mechanism.yaml"
STAGES = ("workload", "checkpoint", "joint testbed")
ONE = 1


class Error(NamedTuple):
    """The largest gap of both formulas over the cells of one factorial."""

    name: str
    cells: int
    product: float
    product_at: str
    mechanism: float
    mechanism_at: str
    counted: tuple[str, ...]


def main(words: Sequence[str] | None = None) -> None:
    """Print and write."""
    files = [Path(w) for w in words or ()]
    found = [of_runs(e) for f in files or [RECORDED] for e in runs_of(f)]
    found += [] if files else of_testbed()
    print(*[line for e in found for line in lines(e)], sep="\n")
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "mechanism_error.json").write_text(json.dumps([e._asdict() for e in found], indent=2) + "\n")


def of_runs(e: Experiment) -> Error:
    """Of one setting of a file."""
    layers = {e.cell_layers(m): float(e.logs(m).mean()) for m in e.cells if m < 1 << len(e.layers)}
    alone = {m.name: float(y.mean()) for i, m in enumerate(e.mechanisms) if len(y := e.logs_alone(i))}
    uses = {m.name: m.of for m in e.mechanisms if m.name in alone}
    known = Known(cells=layers, mechanisms=alone)
    product, mechanism = worst_error(known, {}), worst_error(known, uses)
    several = sum(len(c) > ONE for c in layers)
    return Error(e.setting_words, several, product[0], product[1] or "", mechanism[0], mechanism[1] or "", _counted(uses))


def of_testbed() -> list[Error]:
    """Of every resource of the testbed's factorial, this checkout's or one that is measured now."""
    if (ROOT / "data/joint/testbed.parquet").is_file():
        return _testbed(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        copied(Path(folder))
        for stage in STAGES:
            command = [sys.executable, "-m", *f"tasks.{stage}".split()]
            subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": folder}, check=True, capture_output=True)
        return _testbed(Path(folder))


def _testbed(root: Path) -> list[Error]:
    told = outbox.read(root / "data/joint/testbed.json")
    table, _ = noise_floor.split(JOINT.read(root / "data/joint/testbed.parquet"))
    found, _ = factorials(table, tuple(told["layers"]), mechanisms=told["mechanisms"])
    loud = ", ".join(told["machine"]["loud"] or ()) or "quiet"
    return [_of_factorial(f, loud) for f in found if f.shared and f.resource in {Resource.CPU_S, Resource.TIME_S}]


def _of_factorial(f: Factorial, loud: str) -> Error:
    errors = {e.formula: e for e in held(f, tolerance=0.02, confidence=0.95).errors}
    product, mine = errors[Formula.INDEPENDENT], errors[Formula.BY_MECHANISM]
    at = ["+".join(e.worst) for e in (product, mine)]
    gaps = [abs(e.worst_gap.value) for e in (product, mine)]
    roots = " and ".join(f"{100 * e.root_mean_square.value:.1f}" for e in (product, mine))
    name = f"testbed {f.resource}, {f.amounts.shape[-1]} blocks, machine {loud}, root mean square {roots} points"
    return Error(name, product.cells, gaps[0], at[0], gaps[1], at[1], _counted({m.name: m.of for m in f.shared}))


def _counted(uses: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(x for name, of in uses.items() if (x := counted_again(name, of)) is not None)


def lines(e: Error) -> list[str]:
    """One factorial in words."""
    worst = (
        f"{e.name}, {e.cells} cells: worst error of the product {100 * e.product:.1f} points ({e.product_at}), "
        f"by mechanism {100 * e.mechanism:.1f} points ({e.mechanism_at})"
    )
    return [*e.counted, worst]


if __name__ == "__main__":
    main(sys.argv[1:])
