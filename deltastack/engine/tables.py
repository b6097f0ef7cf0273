"""Finished runs of an engine as rows of the contracts: amounts by component, exact counts, and which layers form a factorial.

A cell that could not be run takes layers out of the factorial: the largest set of layers whose every combination ran is kept, and
the rest is named. Nothing is filled in.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from deltastack.experiment import tables
from deltastack.experiment.meter import Quantity
from deltastack.experiment.plan import Kind, plain
from deltastack.experiment.tables import Amount, Source
from deltastack.model import MECHANISM, Bench, Component, Evidence, OperatingPoint, Resource, cell_name, cell_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from deltastack.engine.declaration import Engine
    from deltastack.experiment.ledger import Entry
    from deltastack.experiment.tables import Key, Row

_BASE = "base"
_METERED = {
    Resource.CPU_S: Quantity.CPU_S,
    Resource.ENERGY_J: Quantity.ENERGY_J,
    Resource.MEMORY_BYTE_S: Quantity.MEMORY_BYTE_S,
    Resource.IO_BYTE: Quantity.IO_READ_BYTE,
}


def amounts(entry: Entry) -> dict[Key, Amount]:
    """What one run spent, by component and resource; a resource that nobody could read is one null with its reason."""
    found = {
        (Component(c), Resource(r)): Amount(value) for c, resources in entry.components.items() for r, value in resources.items()
    }
    for resource, quantity in _METERED.items():
        reading = entry.readings.get(quantity)
        if reading is not None and reading.value is None:
            found[Component.OTHER, resource] = Amount(None, reading.reason)
    return found


SOURCE = Source(Bench.ENGINE, amounts)


def full_layers(layers: Sequence[str], ran: Iterable[str]) -> tuple[str, ...]:
    """The largest set of ``layers`` of which every combination is in ``ran``, earlier layers first; empty without any.

    >>> full_layers(("a", "b", "c"), ["base", "a", "b", "c", "a+b"])
    ('a', 'b')
    """
    there = set(ran)
    for size in range(len(layers), 0, -1):
        for some in itertools.combinations(layers, size):
            if all(cell_name(part) in there for n in range(size + 1) for part in itertools.combinations(some, n)):
                return some
    return ()


def joint_rows(entries: Iterable[Entry], layers: Iterable[str], *, host: str, canonical: bool) -> list[Row]:
    """Rows of JOINT: the factorial of ``layers`` with the base's twin, and each mechanism alone."""
    wanted = frozenset(layers)
    sets = [e for e in entries if "/" not in e.slot.cell and cell_of(plain(e.slot.cell)) <= wanted]
    mine = [*sets, *(e for e in entries if e.slot.cell.startswith(MECHANISM))]
    return tables.joint_rows(mine, host=host, canonical=canonical, source=SOURCE)


def delta_rows(engine: Engine, entries: Sequence[Entry], layer: str, *, host: str, canonical: bool) -> list[Row]:
    """Rows of DELTA of one layer: ``all``, each technique alone, and the base's twin, from the same runs as the factorial."""
    on = engine.of_layer(layer)
    called = {f"{layer}/{name}": (name,) for name, t in engine.techniques.items() if t.layer == layer and (name,) != on}
    called |= {layer: ("all", *(on if len(on) == 1 else ()))}
    mine = []
    for entry in entries:
        cell = entry.slot.cell
        names = (cell,) if plain(cell) == _BASE else called.get(cell, ())
        mine += [replace(entry, slot=replace(entry.slot, cell=name)) for name in names]
    return tables.paired_rows(SOURCE, mine, layer, host=host, canonical=canonical)


def counter_rows(entries: Iterable[Entry], *, host: str, canonical: bool) -> list[Row]:
    """Rows of COUNTER: every figure of every run."""
    rows: list[Row] = []
    for entry in (e for e in entries if e.slot.kind is Kind.RUN):
        slot = entry.slot
        head = (tables.called(slot.cell), Bench.ENGINE, OperatingPoint.PER_SESSION, slot.block, slot.position, slot.start)
        rows += [(*head, name, value, Evidence.MEASURED, host, canonical) for name, value in entry.quality.items()]
    return rows
