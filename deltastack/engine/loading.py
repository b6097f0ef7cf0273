"""The load of one run: what is asked in which parts, by our client or a generator; every answer must count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deltastack.engine import asking, client, generators
from deltastack.engine.client import Outcome, Target
from deltastack.engine.faults import FaultKind
from deltastack.errors import CellError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from deltastack.engine.asking import Asked, Request
    from deltastack.engine.cells import Cell
    from deltastack.engine.client import Record
    from deltastack.engine.declaration import Engine
    from deltastack.engine.guard import Guard
    from deltastack.engine.process import Running
    from deltastack.engine.warm import Source

_SETTLE_S = 1.0
FAULTS = {Outcome.THROTTLED: FaultKind.THROTTLED, Outcome.TIMEOUT: FaultKind.HUNG, Outcome.ERROR: FaultKind.FAILED_REQUESTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What every run of an experiment shares."""

    engine: Engine
    root: Path
    asked: Asked
    questions: tuple[Request, ...]
    headers: Mapping[str, str] = field(repr=False)
    memory_byte: float
    """What one server's processes may hold together."""
    logs: Path
    source: Source
    """Starts the servers; entered around all that uses it."""


def turns(at: Setup, some: Sequence[Cell]) -> list[tuple[Request, ...]]:
    """The load in parts: all of it, or two halves around an idle gap; small parts where several servers take turns.

    A part of servers that take turns has as many requests as the cell with the most of them at once.
    """
    every, gap = at.asked.measured, bool(at.engine.experiment.gap_s)
    size = max(c.concurrency for c in some) if len(some) > 1 else len(every)
    size = min(size, -(-len(every) // 2)) if gap else size
    return [every[first : first + size] for first in range(0, len(every), size)]


def driven(at: Setup, cell: Cell, guard: Guard) -> tuple[Record, ...]:
    """The load by a generator; every answer must count.

    Raises:
        CellError: The generator or an answer failed.
    """
    target = _target(at, cell, guard.server)
    folder = at.logs / "generator" / cell.name.replace("/", ".")
    records = generators.drive(target, at.engine.load, cell.request, folder, guard)
    _require_good(records, guard)
    return records


def _target(at: Setup, cell: Cell, server: Running) -> Target:
    timeout_s = at.engine.load.timeout_s
    return Target(address=server.address, concurrency=cell.concurrency, timeout_s=timeout_s, headers=at.headers)


def asked(at: Setup, cell: Cell, some: tuple[Request, ...], guard: Guard) -> tuple[Record, ...]:
    """Ask ``some``; every answer must count.

    Raises:
        CellError: Some answer failed, or has another length than asked for.
    """
    some = asking.with_fields(some, cell.request)
    guard.resume()
    records = client.drive(_target(at, cell, guard.server), some, guard)
    guard.pause()
    _require_good(records, guard)
    if at.engine.load.fixed_length:
        _require_length(some, records)
    return records


def _require_good(records: Sequence[Record], guard: Guard) -> None:
    """Every request was answered.

    Raises:
        CellError: The guard ended the run, or some request failed.
    """
    if guard.found is not None:
        raise guard.found
    bad = [r for r in records if r.outcome is not Outcome.OK]
    if bad:
        crashed = bad[0].outcome is Outcome.ERROR and guard.server.ended(_SETTLE_S)
        kind = FaultKind.CRASHED if crashed else FAULTS[bad[0].outcome]
        raise CellError(kind, f"{len(bad)} of {len(records)} requests, first number {bad[0].number}: {bad[0].error}")


def _require_length(some: Sequence[Request], records: Sequence[Record]) -> None:
    """Cells are compared at equal work, so an answer must have the length that was asked for."""
    for request, record in zip(some, records, strict=True):
        wanted, found = request.output_tokens, record.output_tokens
        if wanted is not None and found is not None and found != wanted:
            words = f"request {record.number} has {found:g} tokens, asked for {wanted}: set ignore_eos, or fixed_length: false"
            raise CellError(FaultKind.SHORT_OUTPUT, words)
