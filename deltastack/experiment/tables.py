"""Finished runs as rows of the contracts: amounts by component and resource, a null with its reason where none was read.

Time, processor time and memory are the engine's own, by component; bytes read belong to storage; joules, where the machine
has a counter, are split by the components' time. Instructions are counted for the whole session and charged to ``other``.
Controls and warm-ups are no rows. The base's twin is called ``base@aa``, so that every table carries its A/A result.
"""

from __future__ import annotations

import statistics
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from deltastack.experiment.meter import Quantity
from deltastack.experiment.plan import Kind, plain
from deltastack.model import AA_TWIN, Bench, Component, Evidence, OperatingPoint, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from deltastack.experiment.ledger import Entry

Row = tuple[object, ...]
Key = tuple[Component, Resource]
_BASE = "base"
_BY_COMPONENT = (Resource.TIME_S, Resource.CPU_S, Resource.MEMORY_BYTE_S)


class Amount(NamedTuple):
    """An amount, or why there is none."""

    value: float | None
    reason: str | None = None


class Source(NamedTuple):
    """A measured bench, how one of its runs is read as amounts, and what is held against another baseline than the base."""

    bench: Bench
    read: Callable[[Entry], dict[Key, Amount]]
    against: Mapping[str, tuple[str, str]] = MappingProxyType({})
    """A further row's name to the cells of its baseline and of what is held against it."""


def amounts(entry: Entry) -> dict[Key, Amount]:
    """What one run spent, by component and resource."""
    found = {(Component(c), r): Amount(v[r]) for c, v in entry.components.items() for r in _BY_COMPONENT if r in v}
    read = entry.components.get(Component.STORAGE, {}).get(Resource.IO_BYTE)
    still = entry.quality.get("cached_byte_before", 0.0)
    why = entry.readings[Quantity.IO_READ_BYTE].reason if Quantity.IO_READ_BYTE in entry.readings else "not metered"
    cached = f"{still:.0f} bytes of the stored file were cached before the start: it was not cold"
    found[Component.STORAGE, Resource.IO_BYTE] = Amount(read, None if read is not None else why or cached)
    return found | _energy(entry) | _instructions(entry)


def _energy(entry: Entry) -> dict[Key, Amount]:
    times = {Component(c): v[Resource.TIME_S] for c, v in entry.components.items() if Resource.TIME_S in v}
    joules, _, reason = entry.readings[Quantity.ENERGY_J]
    whole = sum(times.values())
    if joules is None:
        return {(c, Resource.ENERGY_J): Amount(None, reason) for c in times}
    return {(c, Resource.ENERGY_J): Amount(joules * t / whole) for c, t in times.items()}


def _instructions(entry: Entry) -> dict[Key, Amount]:
    reading = entry.readings.get(Quantity.INSTRUCTIONS)
    if reading is None:
        return {}
    return {(Component.OTHER, Resource.INSTRUCTIONS): Amount(reading.value, reading.reason)}


def delta_rows(
    entries: Iterable[Entry], layer: str, *, host: str, canonical: bool, against: Mapping[str, tuple[str, str]] | None = None
) -> list[Row]:
    """Rows of DELTA from sessions of the testbed; ``against`` as in ``Source``."""
    return paired_rows(Source(Bench.TESTBED, amounts, against or {}), entries, layer, host=host, canonical=canonical)


def paired_rows(source: Source, entries: Iterable[Entry], layer: str, *, host: str, canonical: bool) -> list[Row]:
    """Rows of DELTA: each cell against the base of its own block; ``replicate`` numbers blocks over all starts.

    A cell that a block repeats counts as its mean. Other baselines (``@NAME``) have no rows of their own. A component that one of
    the two never entered spent nothing there: its amount is 0, which was observed.
    """
    runs = [e for e in entries if e.slot.kind is Kind.RUN]
    blocks = sorted({(e.slot.start, e.slot.block) for e in runs})
    every: dict[tuple[int, int, str], list[dict[Key, Amount]]] = {}
    for e in runs:
        every.setdefault((e.slot.start, e.slot.block, e.slot.cell), []).append(source.read(e))
    found = {key: _mean(some) for key, some in every.items()}
    alone = {c: (_BASE, c) for c in dict.fromkeys(e.slot.cell for e in runs) if c != _BASE and not c.startswith("@")}
    rows: list[Row] = []
    for number, block in enumerate(blocks):
        for name, (base, cell) in (alone | dict(source.against)).items():
            if (*block, base) in found and (*block, cell) in found:
                head = (layer, called(name), source.bench, OperatingPoint.PER_SESSION, number)
                pairs = _paired(found[*block, base], found[*block, cell])
                rows += [(*head, c, r, *pair, Evidence.MEASURED, reason, host, canonical) for c, r, pair, reason in pairs]
    return rows


def called(cell: str) -> str:
    """A cell's name in a table: every further copy of the base is its A/A twin."""
    return AA_TWIN if cell != _BASE and plain(cell) == _BASE else cell


def beside_rows(
    layer: str, found: Mapping[str, Sequence[tuple[Mapping[Key, float], Mapping[Key, float]]]], *, host: str, canonical: bool
) -> list[Row]:
    """Rows of DELTA from pairs that were observed beside the sessions, by ``TECHNIQUE@BASELINE``."""
    here = (Bench.TESTBED, OperatingPoint.PER_SESSION)
    return [
        (layer, name, *here, number, *key, base[key], other[key], Evidence.MEASURED, None, host, canonical)
        for name, pairs in found.items()
        for number, (base, other) in enumerate(pairs)
        for key in base
    ]


def session_s(entries: Iterable[Entry]) -> float:
    """Mean length of a session of the base [s]."""
    walls = [e.readings[Quantity.WALL_S].value for e in entries if e.slot.kind is Kind.RUN and e.slot.cell == _BASE]
    return statistics.fmean(w for w in walls if w is not None)


def _mean(some: Sequence[dict[Key, Amount]]) -> dict[Key, Amount]:
    """The mean of every amount over the repeats of a cell; null where one of them is."""
    found = {}
    for key in dict.fromkeys(k for one in some for k in one):
        parts = [one.get(key, Amount(0.0)) for one in some]
        lacking = next((p for p in parts if p.value is None), None)
        found[key] = lacking or Amount(statistics.fmean(p.value for p in parts if p.value is not None))
    return found


def _paired(
    base: dict[Key, Amount], other: dict[Key, Amount]
) -> list[tuple[Component, Resource, tuple[float | None, ...], str | None]]:
    found = []
    for c, r in dict.fromkeys((*base, *other)):
        pair = (base.get((c, r), Amount(0.0)), other.get((c, r), Amount(0.0)))
        reason = next((a.reason for a in pair if a.reason is not None), None)
        values = tuple(None if reason is not None else a.value for a in pair)
        found.append((c, r, values, reason))
    return found


def joint_rows(entries: Iterable[Entry], *, host: str, canonical: bool, source: Source | None = None) -> list[Row]:
    """Rows of JOINT: ``block`` and ``position`` as they ran, ``replicate`` the process start; the testbed's by default."""
    bench, read, _ = source or Source(Bench.TESTBED, amounts)
    rows: list[Row] = []
    for e in (e for e in entries if e.slot.kind is Kind.RUN):
        head = (called(e.slot.cell), bench, OperatingPoint.PER_SESSION, e.slot.block, e.slot.position, e.slot.start)
        rows += [(*head, *key, a.value, Evidence.MEASURED, a.reason, host, canonical) for key, a in read(e).items()]
    return rows
