"""Which parameter a layer's saving hangs on: swings over one range at a time, and Morris' screening over all of them.

    swing of p  = Δ with p at the low and at the high end of its range, the others central
    share of p  = mu*_p / sum mu*          mu* = mean |elementary effect| over TRAJECTORIES trajectories on LEVELS levels

Each technique alone, over the ranges of its own parameters, on a window of the workload; the fleet's parameters stay central.

Source: Morris, Technometrics 33 (1991); mu*: Campolongo, Cariboni & Saltelli, Environmental Modelling & Software 22 (2007),
as SALib computes it.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deltastack import params
from deltastack.evaluation.fleet_runner import Cell
from deltastack.layers import LAYERS
from deltastack.layers.techniques import FOLDER, chosen, read
from deltastack.model import Bench
from deltastack.params import Ranged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from deltastack.evaluation.fleet_runner import FleetRunner
    from deltastack.fleet.simulator import Requests
    from deltastack.layers.technique import Layer
    from deltastack.model import OperatingPoint, Resource, Usage

TRAJECTORIES, LEVELS, SEED = 4, 4, 20260103
WINDOW_REQUESTS = 6000
"""About an hour of the default day."""

Key = tuple["OperatingPoint", "Resource"]


class Swing(NamedTuple):
    """Δ of one technique at both ends of one parameter's range."""

    layer: str
    technique: str
    parameter: str
    bench: str
    operating_point: str
    resource: str
    low: float
    high: float
    central: float
    share: float | None
    """Of all movement under Morris' screening; None where some point of it does not hold."""
    words: str


def window(requests: Requests, count: int = WINDOW_REQUESTS) -> Requests:
    """The ``count`` requests in the middle, from their own first instant on."""
    first = max((requests.arrival_s.size - count) // 2, 0)
    part = {f.name: getattr(requests, f.name)[first : first + count] for f in fields(requests)}
    return replace(requests, **(part | {"arrival_s": part["arrival_s"] - part["arrival_s"][0]}))


def swings(at: FleetRunner, layer: Layer) -> list[Swing]:
    """Swings of every ranged parameter of every technique; a resource that a technique never moves has none.

    Raises:
        ParamsError: The layer's file does not hold.
        CapacityError: The base does not hold.
    """
    known = {t.name: found for t in layer.techniques if (found := ranged(at.root, layer.name, t.name))}
    if not known:
        return []
    base = _totals(at.usage(0, ()))
    return [swing for name, ranges in known.items() for swing in _of_technique(at, layer, name, ranges, base)]


def ranged(root: Path, layer: str, technique: str) -> dict[str, Ranged]:
    """The ranges of one technique in params/layers/LAYER.yaml.

    Raises:
        ParamsError: The file does not hold.
    """
    where = f"{FOLDER}/{layer}.yaml"
    values = read(root, LAYERS[layer])["techniques"][technique].get("params", {})
    return {
        k: params.parse(v, Ranged, f"{where}: {technique}.{k}")
        for k, v in values.items()
        if isinstance(v, dict) and v.keys() >= {"value", "low", "high"}
    }


def design(count: int) -> NDArray[np.float64]:
    """Quantiles (1 + 2 count + trajectories, count): the centre, every low and high end, then Morris' points."""
    from SALib.sample import morris

    ends = np.full((1 + 2 * count, count), 0.5)
    for i in range(count):
        ends[1 + 2 * i, i], ends[2 + 2 * i, i] = 0.0, 1.0
    return np.concatenate([ends, morris.sample(_problem(count), TRAJECTORIES, num_levels=LEVELS, seed=SEED)])


def shares(points: NDArray[np.float64], deltas: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Shares (P,) of each parameter in all movement; None where nothing moves or a Δ is not known.

    Args:
        points: Morris' quantiles, (N, P).
        deltas: Δ there, (N,).
    """
    from SALib.analyze import morris

    if not np.isfinite(deltas).all() or np.ptp(deltas) == 0:
        return None
    effects = morris.analyze(_problem(points.shape[1]), points, deltas, num_levels=LEVELS, seed=SEED)["mu_star"]
    star: NDArray[np.float64] = np.asarray(effects, dtype=np.float64)
    whole = float(star.sum())
    return star * (1 / whole)


def _problem(count: int) -> dict[str, Any]:
    return {"num_vars": count, "names": [str(i) for i in range(count)], "bounds": [[0.0, 1.0]] * count}


def _of_technique(
    at: FleetRunner, layer: Layer, technique: str, ranges: Mapping[str, Ranged], base: Mapping[Key, float]
) -> list[Swing]:
    names, points = tuple(ranges), design(len(ranges))
    jobs = []
    for quantiles in points:
        values = {k: ranges[k].at(float(q)) for k, q in zip(names, quantiles, strict=True)}
        one = next(c for c in chosen(at.root, layer, override={technique: values}, scene=at.scene) if c.name == technique)
        jobs.append((0, Cell(technique, (one,))))
    totals = [_totals(u) if not isinstance(u, str) else {} for u in at.usages(jobs)]
    found = []
    for key, before in base.items():
        deltas = np.array([1 - t[key] / before if key in t else np.nan for t in totals])
        found += _rows((layer.name, technique), names, key, points, deltas)
    return found


def _rows(
    which: tuple[str, str], names: Sequence[str], key: Key, points: NDArray[np.float64], deltas: NDArray[np.float64]
) -> list[Swing]:
    ends = 1 + 2 * len(names)
    if not np.isfinite(deltas[0]) or not np.nanmax(np.abs(deltas)) > 0:
        return []
    share = shares(points[ends:], deltas[ends:])
    found = []
    for i, name in enumerate(names):
        low, high = float(deltas[1 + 2 * i]), float(deltas[2 + 2 * i])
        if np.isfinite([low, high]).all():
            part = None if share is None else float(share[i])
            words = f"{name} from low to high moves the saving by {100 * (high - low):+.2f} points"
            found.append(Swing(*which, name, Bench.FLEET, *key, low, high, float(deltas[0]), part, words))
    return found


def _totals(usage: Mapping[OperatingPoint, Usage]) -> dict[Key, float]:
    """Amounts by basis and resource, of those that are known and not nothing."""
    every = {(b, r): u.total(r) for b, u in usage.items() for r in u.resources()}
    return {k: x for k, x in every.items() if x}
