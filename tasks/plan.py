"""What ``deltastack plan`` knows of this checkout: parameters, the pace of the last runs, the last A/A measurement."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from deltastack import layers, params, statistics
from deltastack.composition import counted_again
from deltastack.contracts import DELTA, JOINT
from deltastack.decisions import pairwise_plan, plan
from deltastack.layers import techniques
from deltastack.model import AA_TWIN, Resource
from deltastack.stack import Stack
from tasks import stage_runner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd


def forecasts(root: Path, cells: str | None = None) -> list[plan.Forecast]:
    """One forecast a bench.

    Args:
        root: The checkout.
        cells: ``all`` or ``half``; default: params/stack.yaml.

    Raises:
        ParamsError: Parameters that do not hold.
    """
    from deltastack.testbed.settings import load

    stack = params.load(root / "params/stack.yaml", Stack)
    count = len(statistics.planned(stack.layers, cells or stack.cells))
    testbed = load(root)
    budget = testbed.budget(stack.effort)
    fleet, bench = (_sharing(root, stack.layers, testbed=t) for t in (False, True))
    found = [
        plan.fleet(cells=count, draws=stack.draws, pace=_simulated(root, stack.scene)),
        plan.testbed(
            layers=stack.layers,
            repeats=testbed.measuring.repeats,
            budget_s=budget.joint_s,
            pace=_measured(root),
            sd_log=_noise(root),
            mechanisms=tuple(bench),
        ),
    ]
    found = [replace(f, reasons=(*_counted(uses), *f.reasons)) for f, uses in zip(found, (fleet, bench), strict=True)]
    if len(stack.layers) < pairwise_plan.LEAST:
        return found
    offer = pairwise_plan.pairwise_plan(tuple(stack.layers))
    return [replace(f, reasons=(*f.reasons, offer.words, pairwise_plan.WHEN)) for f in found]


def _sharing(root: Path, names: Sequence[str], *, testbed: bool) -> dict[str, tuple[str, ...]]:
    """By mechanism, the layers of which a technique that is on uses it; a layer without values in this checkout has none."""
    known = [layers.LAYERS[n] for n in names if n in layers.LAYERS and techniques.values_file(root, layers.LAYERS[n]).is_file()]
    chosen = {x.name: techniques.chosen(root, x) for x in known}
    return techniques.sharing({n: [t for t in some if _on(t, testbed=testbed)] for n, some in chosen.items()})


def _on(one: techniques.ConfiguredTechnique, *, testbed: bool) -> bool:
    return one.on_testbed and one.technique.on_testbed if testbed else one.on and one.on_fleet


def _counted(uses: Mapping[str, tuple[str, ...]]) -> list[str]:
    """What a product of the stack's savings counts more than once."""
    return [said for name, of in uses.items() if (said := counted_again(name, of)) is not None]


def _simulated(root: Path, scene: str) -> plan.Pace | None:
    """Seconds a cell and draw of the last simulated factorial of a scene."""
    receipt, table = stage_runner.receipt(root, f"joint@{scene}"), root / f"data/joint/{scene}.parquet"
    if not receipt.is_file() or not table.is_file():
        return None
    rows = JOINT.read(table)
    runs = len(rows[["cell", "replicate"]].drop_duplicates())
    return plan.Pace(run_s=float(json.loads(receipt.read_text())["seconds"]) / runs, source=f"the last joint@{scene}")


def _measured(root: Path) -> plan.Pace | None:
    """Mean wall seconds of a session in the last measured factorial, or among the last measured layers."""
    table = root / "data/joint/testbed.parquet"
    if table.is_file():
        rows = JOINT.read(table)
        runs = _summed(rows[rows["resource"] == str(Resource.TIME_S)], ["cell", "block", "replicate"], "amount")
        return plan.Pace(run_s=float(runs.mean()), source="the last joint@testbed") if len(runs) else None
    tables = _layers(root)
    if tables is None:
        return None
    runs = _summed(tables[tables["resource"] == str(Resource.TIME_S)], ["layer", "technique", "replicate"], "base")
    return plan.Pace(run_s=float(runs.mean()), source="the last measured layers, base cell") if len(runs) else None


def _noise(root: Path) -> float | None:
    """Standard deviation of the log ratio of processor time of the A/A pairs in the last measured layers."""
    tables = _layers(root)
    if tables is None:
        return None
    pairs = tables[(tables["technique"] == AA_TWIN) & (tables["resource"] == str(Resource.CPU_S))]
    was, now = (_summed(pairs, ["layer", "replicate"], c) for c in ("base", "optimized"))
    ratios = np.log(now.to_numpy(float) / was.to_numpy(float))
    return float(ratios.std(ddof=1)) if len(ratios) > 1 else None


def _layers(root: Path) -> pd.DataFrame | None:
    import pandas as pd

    found = [DELTA.read(p) for p in sorted((root / "data/delta/measured").glob("*.parquet"))]
    return pd.concat(found, ignore_index=True) if found else None


def _summed(rows: pd.DataFrame, by: list[str], column: str) -> pd.Series[float]:
    """Amounts over components of every run; a run that lacks a reading is left out."""
    whole = rows.groupby(by)[column].agg(lambda x: float(x.sum()) if x.notna().all() else float("nan"))
    found: pd.Series[float] = whole.astype(float).dropna()
    return found
