"""A folder of results of load generators, with a file that says which results are which cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.errors import FactorialError, InputError, ParamsError
from deltastack.importers import read, refuse_unlike
from deltastack.importers.run import QUANTITIES
from deltastack.model import Params
from deltastack.own_runs import metric_names
from deltastack.own_runs.experiment import Experiment, Metric, Observation
from deltastack.params import load

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from deltastack.importers import Run

_WANTED = "wanted layers: [A, B] and cells: {'00': base*.json, '10': a*.json, '01': b*.json, '11': ab*.json}"


class ResultMap(Params):
    """Which results are which cell."""

    layers: tuple[str, ...]
    cells: dict[str, str | tuple[str, ...]]
    """A digit for each layer, 1 = on, to one or more file patterns below the folder."""
    metric: str | None = None
    point: int | None = None
    """Which load point of a sweep, from 0."""


def read_folder(
    folder: Path, mapping: Path, *, metric: str | None = None, differs: Collection[str] = ()
) -> tuple[Experiment, ...]:
    """The one experiment of a folder.

    Args:
        folder: Results, searched by the patterns of ``mapping``.
        mapping: YAML in the form of ``ResultMap``.
        metric: One of ``importers.QUANTITIES``; the first that every run has if None.
        differs: Conditions in which runs may differ.

    Raises:
        FactorialError: A map that does not hold, a pattern without a file, a file in two cells, or unlike runs.
    """
    plan = _plan(mapping)
    runs = {key: _runs(folder, patterns, plan.point) for key, patterns in plan.cells.items()}
    _once(runs)
    _alike([r for found in runs.values() for r in found], differs)
    quantity = _quantity(runs, metric or plan.metric)
    observations = tuple(
        Observation(cell=sum(1 << i for i, d in enumerate(key) if d == "1"), value=run.amounts[quantity])
        for key, found in runs.items()
        for run in found
        if quantity in run.amounts
    )
    tools = sorted({r.tool for found in runs.values() for r in found})
    notes = (f"read from {', '.join(tools)}; throughputs are turned into the time that a unit of work takes",)
    return (
        Experiment(
            metric=Metric(name=quantity, higher_is_better=False),
            layers=plan.layers,
            setting={},
            observations=observations,
            notes=notes,
        ),
    )


def _plan(mapping: Path) -> ResultMap:
    try:
        plan = load(mapping, ResultMap)
    except ParamsError as error:
        raise FactorialError(f"{error}; {_WANTED}") from error
    for key in plan.cells:
        if len(key) != len(plan.layers) or set(key) - {"0", "1"}:
            raise FactorialError(f"{mapping.name}: cell '{key}': wanted {len(plan.layers)} digits 0 or 1 in quotes; {_WANTED}")
    return plan


def _runs(folder: Path, patterns: str | tuple[str, ...], point: int | None) -> list[Run]:
    found = []
    for pattern in (patterns,) if isinstance(patterns, str) else patterns:
        paths = sorted(folder.glob(pattern))
        if not paths:
            raise FactorialError(f"{folder}: no file matches '{pattern}'; correct the pattern in the map")
        for path in paths:
            try:
                found += read(path, point=point)
            except InputError as error:
                raise FactorialError(str(error)) from error
    return found


def _alike(runs: list[Run], differs: Collection[str]) -> None:
    try:
        refuse_unlike(runs, differs)
    except InputError as error:
        raise FactorialError(str(error)) from error


def _once(runs: dict[str, list[Run]]) -> None:
    """Refuse one result counted twice: one content in a cell, one file in two cells."""
    files: dict[str, str] = {}
    for key, found in runs.items():
        seen: set[str] = set()
        for run in found:
            if run.identity in seen or files.get(run.source, key) != key:
                where = "stands twice in" if run.identity in seen else f"is in cell {files[run.source]} and also in"
                raise FactorialError(f"{run.file} {where} cell {key}: each result counts once; correct the map")
            seen.add(run.identity)
            files[run.source] = key


def _quantity(runs: dict[str, list[Run]], asked: str | None) -> str:
    there = [q for q in QUANTITIES if all(any(q in r.amounts for r in found) for found in runs.values())]
    if asked is not None and asked not in there:
        raise FactorialError(f"not every cell has '{asked}'; {metric_names.nearest(asked, there)}")
    if not there:
        raise FactorialError("the cells have no quantity in common, so nothing can be compared")
    return asked or there[0]
