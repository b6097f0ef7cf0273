"""Usage with nothing enabled, its shares by component, and the saving of each layer from its own table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from deltastack import statistics
from deltastack.analysis.factorial import DEFAULT_SCENE
from deltastack.contracts import USAGE
from deltastack.model import Bench, Component, OperatingPoint, Resource, cell_name
from deltastack.statistics import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

_BASE = cell_name(())
ALL = "all"


class BaseShare(NamedTuple):
    """The share of one component in the base usage of one resource, a fraction."""

    bench: Bench
    operating_point: OperatingPoint
    resource: Resource
    component: Component
    share: float


class LayerDelta(NamedTuple):
    """The saving of one layer with its enabled techniques, from its own table (``estimate@``, ``measure@``)."""

    layer: str
    scene: str
    bench: Bench
    operating_point: OperatingPoint
    resource: Resource
    delta: Estimate


def shares(baseline: pd.DataFrame) -> tuple[BaseShare, ...]:
    """Shares of the central draw, or of the first run; a resource that the base does not spend has none."""
    known = baseline[baseline["replicate"] == 0].dropna(subset=["amount"])
    whole = known.groupby(["bench", "operating_point", "resource"])["amount"].transform("sum")
    rows = known[whole > 0].assign(share=known["amount"] / whole)
    names = ["bench", "operating_point", "resource", "component", "share"]
    return tuple(
        BaseShare(Bench(b), OperatingPoint(o), Resource(r), Component(c), float(x))
        for b, o, r, c, x in rows[names].itertuples(index=False, name=None)
    )


def layer_deltas(deltas: Mapping[str, pd.DataFrame], confidence: float) -> tuple[LayerDelta, ...]:
    """One entry a layer, scene, bench, operating point and resource whose every amount is known and whose base is not 0."""
    found = []
    for table in deltas.values():
        rows = table[table["technique"] == ALL]
        scenes = rows["scene"] if "scene" in rows else pd.Series(DEFAULT_SCENE, index=rows.index)
        by = [rows["layer"], scenes, rows["bench"], rows["operating_point"], rows["resource"]]
        for (layer, scene, bench, point, resource), mine in rows.groupby(by, sort=False):
            delta = _delta(mine, Bench(str(bench)), confidence)
            if delta is not None:
                head = (str(layer), str(scene), Bench(str(bench)), OperatingPoint(str(point)), Resource(str(resource)))
                found.append(LayerDelta(*head, delta))
    return tuple(found)


def _delta(rows: pd.DataFrame, bench: Bench, confidence: float) -> Estimate | None:
    """Saving of paired samples: over draws of a model around the central one, over measured pairs by their log ratios."""
    if rows[["base", "optimized"]].isna().any(axis=None):
        return None
    whole = rows.groupby("replicate")[["base", "optimized"]].sum().to_numpy(float)
    base, optimized = whole.T
    if not (base > 0).all():
        return None
    if bench.facts.simulated:
        savings = 1 - optimized / base
        low, high = statistics.drawn_ends(savings, confidence=confidence)
        return Estimate(float(savings[0]), low, high, savings.size)
    if len(base) == 1 or not (optimized > 0).all():
        return Estimate(float(1 - np.mean(optimized) / np.mean(base)), None, None)
    found = statistics.log_ratio(base, optimized, confidence=confidence)
    return Estimate(found.estimate, found.low, found.high)


def with_measured(baseline: pd.DataFrame, joint: pd.DataFrame) -> pd.DataFrame:
    """``baseline`` (contract USAGE) with the base runs of ``joint`` (contract JOINT) as rows of its bench.

    ``replicate`` numbers the runs in the order of process starts, blocks and positions.
    """
    base = joint[joint["cell"] == _BASE]
    runs = base[["replicate", "block", "position"]].drop_duplicates().sort_values(["replicate", "block", "position"])
    number = {tuple(row): n for n, row in enumerate(runs.itertuples(index=False, name=None))}
    keys = base[["replicate", "block", "position"]].itertuples(index=False, name=None)
    rows = base.assign(replicate=[number[tuple(key)] for key in keys])[[c.name for c in USAGE.columns]]
    present = [table for table in (baseline, rows) if len(table)]
    return pd.concat(present, ignore_index=True) if present else baseline
