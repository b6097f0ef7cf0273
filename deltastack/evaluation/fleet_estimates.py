"""Layers estimated on the fleet: base and switched deployments simulated side by side, for every draw of the parameters.

One draw means the same numbers in every cell, so that cells differ by what is switched and by nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from deltastack import machine_fingerprint, statistics
from deltastack.errors import CapacityError
from deltastack.evaluation.fleet_runner import Cell, Refused
from deltastack.evaluation.slo_check import Missed, missed
from deltastack.model import Bench, Component, Evidence, OperatingPoint, Resource, Usage, cell_name, weakest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from deltastack.evaluation.fleet_runner import FleetRunner
    from deltastack.layers.technique import Layer
    from deltastack.layers.techniques import ConfiguredTechnique
    from deltastack.model import Reading

ALL = "all"
BASE = "base"


class Estimated(NamedTuple):
    """Rows of a table, and what has to be said beside them."""

    rows: list[tuple[object, ...]]
    refused: list[Refused]
    """Techniques that do not hold."""
    missed: list[Missed]
    """Cells that miss the latency goals."""


def valid(bench_of: FleetRunner, layer: Layer) -> tuple[tuple[str, ...], list[Refused]]:
    """The techniques of a layer that hold alone with their central values, and those that do not."""
    techniques = [t for t in bench_of.chosen(layer) if t.on_fleet]
    found = bench_of.usages([(0, Cell(t.name, (t,))) for t in techniques])
    refused = [Refused(layer.name, t.name, u) for t, u in zip(techniques, found, strict=True) if isinstance(u, str)]
    return tuple(t.name for t in techniques if t.name not in {r.technique for r in refused}), refused


def observed(bench_of: FleetRunner, layer: Layer) -> bool:
    """Whether the fleet has a meaning for any technique of ``layer``."""
    return any(t.on_fleet for t in bench_of.chosen(layer))


def simulate_all(bench_of: FleetRunner, layers: Sequence[Layer], cells: str = "all") -> None:
    """Simulate every cell that ``delta_rows`` and ``joint_rows`` of these layers ask for, draw by draw.

    Raises:
        ParamsError: As ``statistics.planned``.
    """
    layers = [x for x in layers if observed(bench_of, x)]
    places = statistics.planned([x.name for x in layers], cells)
    refused = [r for layer in layers for r in valid(bench_of, layer)[1]]
    bad = {(r.layer, r.technique) for r in refused}
    jobs: list[tuple[int, Cell]] = []
    for draw in range(bench_of.draws):
        for layer in layers:
            alone = [t for t in bench_of.chosen(layer, draw) if t.on_fleet and (layer.name, t.name) not in bad]
            jobs += [*((draw, Cell(t.name, (t,))) for t in alone), (draw, Cell(ALL, tuple(t for t in alone if t.on)))]
        jobs += [(draw, cell) for cell in _cells(bench_of, layers, draw, refused, places)]
    bench_of.usages(jobs)


def delta_rows(
    bench_of: FleetRunner,
    layer: Layer,
    names: Sequence[str] | None = None,
    override: Mapping[str, Mapping[str, Any]] | None = None,
) -> Estimated:
    """Rows of DELTA for every technique of a layer alone and for ``all`` that are on.

    Args:
        bench_of: Where cells run.
        layer: Whose techniques are switched.
        names: Only these techniques; all of them and ``all`` by default.
        override: By technique, values that replace the file's.
    """
    if not observed(bench_of, layer):
        return Estimated([], [], [])
    jobs: list[tuple[int, Cell]] = []
    for draw in range(bench_of.draws):
        techniques = bench_of.chosen(layer, draw, override)
        wanted = [t for t in techniques if t.on_fleet and (names is None or t.name in names)]
        jobs += [(draw, Cell(BASE, ())), *((draw, Cell(t.name, (t,))) for t in wanted)]
    found = dict(zip([(d, c.name) for d, c in jobs], bench_of.usages(jobs), strict=True))
    refused = _refused(layer, jobs, found)
    bad = {r.technique for r in refused}
    if names is None:
        together = [(draw, Cell(ALL, _on(bench_of.chosen(layer, draw, override), bad))) for draw in range(bench_of.draws)]
        found |= dict(zip([(d, c.name) for d, c in together], bench_of.usages(together), strict=True))
        jobs += together
    rows = [
        (layer.name, cell.name, Bench.FLEET, *row, machine_fingerprint.SIMULATED, bench_of.canonical, bench_of.scene_name)
        for draw, cell in jobs
        if cell.name not in {BASE, *bad}
        for row in _pairs(draw, cell, found[draw, BASE], found[draw, cell.name])
    ]
    return Estimated(rows, refused, missed((cell.name, found[draw, cell.name]) for draw, cell in jobs))


def joint_rows(bench_of: FleetRunner, layers: Sequence[Layer], cells: str = "all") -> Estimated:
    """Rows of JOINT for every planned set of layers and every draw; techniques that do not hold are in none.

    A layer of which nothing has a meaning on the fleet is in no cell: it is absent there, not a saving of zero.

    Raises:
        ParamsError: As ``statistics.planned``.
    """
    layers = [x for x in layers if observed(bench_of, x)]
    places = statistics.planned([x.name for x in layers], cells)
    refused = [r for layer in layers for r in valid(bench_of, layer)[1]]
    jobs = [(draw, cell) for draw in range(bench_of.draws) for cell in _cells(bench_of, layers, draw, refused, places)]
    found = bench_of.usages(jobs)
    base = {draw: u for (draw, cell), u in zip(jobs, found, strict=True) if cell.name == BASE}
    rows: list[tuple[object, ...]] = []
    for at, ((draw, cell), usage) in enumerate(zip(jobs, found, strict=True)):
        position = at % len(places)
        for operating_point, was, now, evidence in _matched(cell, base[draw], usage):
            rows.append(
                (
                    *(cell.name, Bench.FLEET, operating_point, 0, position, draw, was.component, was.resource),
                    *(now.amount, evidence, now.reason, machine_fingerprint.SIMULATED, bench_of.canonical, bench_of.scene_name),
                )
            )
    return Estimated(rows, refused, missed((cell.name, usage) for (_, cell), usage in zip(jobs, found, strict=True)))


def _cells(
    bench_of: FleetRunner, layers: Sequence[Layer], draw: int, refused: Sequence[Refused], places: Sequence[int]
) -> Iterator[Cell]:
    on = {x.name: _on(bench_of.chosen(x, draw), {r.technique for r in refused if r.layer == x.name}) for x in layers}
    for mask in places:
        names = [x.name for i, x in enumerate(layers) if mask >> i & 1]
        yield Cell(cell_name(names), tuple(t for n in names for t in on[n]))


def _on(techniques: Iterable[ConfiguredTechnique], bad: set[str]) -> tuple[ConfiguredTechnique, ...]:
    return tuple(t for t in techniques if t.on and t.name not in bad)


def _refused(layer: Layer, jobs: Sequence[tuple[int, Cell]], found: Mapping[tuple[int, str], object]) -> list[Refused]:
    """Techniques that do not hold in some draw, each with its first reason."""
    reasons: dict[str, str] = {}
    for draw, cell in jobs:
        usage = found[draw, cell.name]
        if cell.name != BASE and isinstance(usage, str):
            reasons.setdefault(cell.name, usage)
    return [Refused(layer.name, name, reason) for name, reason in reasons.items()]


def _pairs(
    draw: int, cell: Cell, base: dict[OperatingPoint, Usage] | str, usage: dict[OperatingPoint, Usage] | str
) -> Iterator[tuple[object, ...]]:
    for operating_point, was, now, evidence in _matched(cell, base, usage):
        reason = was.reason or now.reason
        yield (operating_point, draw, was.component, was.resource, was.amount, now.amount, evidence, reason)


def _matched(
    cell: Cell, base: dict[OperatingPoint, Usage] | str, usage: dict[OperatingPoint, Usage] | str
) -> Iterator[tuple[OperatingPoint, Reading, Reading, Evidence]]:
    """Readings of base and cell side by side; what one of them lacks is 0 there: a simulation knows that it spent nothing.

    Raises:
        CapacityError: The base itself does not hold.
    """
    if isinstance(base, str):
        raise CapacityError(base)
    for operating_point in base:
        before = {(r.component, r.resource): r for r in base[operating_point]}
        after = (
            {(r.component, r.resource): r for r in usage[operating_point]}
            if not isinstance(usage, str)
            else {k: r._replace(amount=None, reason=usage) for k, r in before.items()}
        )
        for key in sorted(before | after, key=_place):
            was = before.get(key) or after[key]._replace(amount=0.0, reason=None)
            now = after.get(key) or before[key]._replace(amount=0.0, reason=None)
            changed = was.amount != now.amount
            yield operating_point, was, now, weakest([was.evidence, now.evidence, *([cell.evidence] if changed else [])])


def _place(key: tuple[Component, Resource]) -> tuple[int, int]:
    return list(Resource).index(key[1]), list(Component).index(key[0])
