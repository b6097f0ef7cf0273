"""One run of one cell: start, read back, warm up, load under the meter, read counters, ask questions, stop.

Whatever goes wrong ends in a ``CellError`` that names what; the server is gone by then.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from deltastack.engine import asking, cells, client, meters, phases, process, readback
from deltastack.engine.client import Outcome, Target
from deltastack.engine.faults import FaultKind
from deltastack.engine.guard import Guard
from deltastack.errors import CellError, ParamsError
from deltastack.model import Component
from deltastack.testbed.ledger import Entry
from deltastack.testbed.plan import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from deltastack.engine.asking import Asked, Request
    from deltastack.engine.cells import Cell
    from deltastack.engine.client import Record
    from deltastack.engine.declaration import Engine
    from deltastack.engine.meters import Spent
    from deltastack.engine.process import Running
    from deltastack.engine.readback import Resolved
    from deltastack.testbed.plan import Slot

_FREE_SHARE = 0.8
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One finished run, and what the server answered."""

    entry: Entry
    records: tuple[Record, ...]
    answered: tuple[Record, ...]
    """Answers to the questions; empty where none were asked."""
    resolved: Resolved


def setup(engine: Engine, root: Path, logs: Path, asked: Asked) -> Setup:
    """The setup of an experiment; the API key is taken from the environment.

    Raises:
        ParamsError: The environment has no such variable, or a file of questions that does not hold.
    """
    questions = asking.requests(engine.questions, root).measured if engine.questions is not None else ()
    limit = engine.limits.memory_byte or _FREE_SHARE * psutil.virtual_memory().available
    return Setup(
        engine=engine,
        root=root,
        asked=asked,
        questions=questions,
        headers=headers(engine),
        memory_byte=limit,
        logs=logs,
    )


def headers(engine: Engine) -> dict[str, str]:
    """What is sent with every call.

    Raises:
        ParamsError: The environment lacks the key's variable.
    """
    if engine.key_variable is None:
        return {}
    key = os.environ.get(engine.key_variable)
    if not key:
        raise ParamsError(
            f"the environment has no {engine.key_variable}, which key_variable names: export it; it is never written"
        )
    return {"Authorization": f"Bearer {key}"}


@contextlib.contextmanager
def serving(at: Setup, cell: Cell) -> Iterator[Running]:
    """The server of ``cell``, healthy, and read back.

    Raises:
        CellError: It did not start, or a switch did not take.
    """
    engine = at.engine
    if engine.start is None:
        server = process.attached(engine.addresses[cell.name], engine.health, at.headers)
    else:
        port = engine.start.port or process.free_port()
        command = cells.command(engine, engine.start, cell, at.root, port)
        log = at.logs / f"{cell.name.replace('/', '.')}.log"
        server = process.running(command, engine.health, engine.stop, log, at.headers)
    with server as here:
        yield here


def observe(at: Setup, slot: Slot, *, ask: bool) -> Observed:
    """Run ``slot``; with ``ask``, put the questions too, after the timed window.

    Raises:
        CellError: The run does not count; the message says why.
    """
    cell = cells.resolve(at.engine, plain(slot.cell), at.root)
    with serving(at, cell) as server:
        guard = Guard(server, memory_byte=at.memory_byte, run_s=at.engine.limits.run_s)
        found = readback.resolved(server, at.engine.sources, at.headers)
        readback.require(cell, found)
        start = _started(server)
        _asked(at, cell, at.asked.warm, guard)
        for one in at.engine.clear:
            readback.call(server, one, at.headers)
        before = readback.resolved(server, readback.needed(at.engine), at.headers)
        session, gap, records = _load(at, cell, guard)
        after = readback.resolved(server, readback.needed(at.engine), at.headers)
        answered = _asked(at, cell, at.questions, guard) if ask else ()
    figures = phases.counts(records) | phases.latencies(records) | counted(at.engine, before, after) | start
    figures |= evidence(cell, records, before, after) | {"requests": float(len(records))}
    parts = [phases.components(session.less(gap), records), phases.whole(gap, Component.IDLE)]
    if at.engine.experiment.count_start:
        parts.append(phases.of_start(start))
    components = {str(c): {str(r): v for r, v in some.items()} for c, some in phases.added(parts).items()}
    entry = Entry(slot=slot, readings=session.readings, components=components, quality=figures)
    return Observed(entry=entry, records=records, answered=answered, resolved=found)


def counted(engine: Engine, before: Resolved, after: Resolved) -> dict[str, float]:
    """The engine's own counters over the load; one that the server does not have is left out."""
    found = {}
    for name, counter in engine.counters.items():
        first, last = readback.amount(before, counter), readback.amount(after, counter)
        if first is not None and last is not None:
            found[f"engine.{name}"] = last - first
    return found


def evidence(cell: Cell, records: Sequence[Record], before: Resolved, after: Resolved) -> dict[str, float]:
    """What shows the cell's techniques at work, as ``TECHNIQUE.NAME``.

    Raises:
        CellError: A figure is outside what the declaration wants, or a wanted one is not there.
    """
    found: dict[str, float] = {}
    wrong = []
    for technique, one in cell.evidence:
        value = phases.reported(records, one.key) if one.source == "requests" else readback.grown(before, after, one)
        name = f"{technique}.{one.name}"
        if value is not None:
            found[name] = value
        least, most = one.at_least, one.at_most
        if value is None and (least is not None or most is not None):
            wrong.append(f"{name} ({one.source} {one.key}) is not there")
        elif value is not None and not (least or -math.inf) <= value <= (math.inf if most is None else most):
            wrong.append(f"{name} is {value:g}, wanted {'' if least is None else f'at least {least:g}'}{_most(most)}")
    if wrong:
        raise CellError(FaultKind.NO_EVIDENCE, "; ".join(wrong))
    return found


def _most(most: float | None) -> str:
    return "" if most is None else f" at most {most:g}"


def _started(server: Running) -> dict[str, float]:
    """What the start took: seconds until healthy and, of a server that was started here, processor seconds and memory."""
    if server.root is None:
        return {"ready_s": server.ready_s}
    return {"ready_s": server.ready_s, "start_cpu_s": meters.cpu_s(server), "start_memory_byte": meters.memory_byte(server)}


def _load(at: Setup, cell: Cell, guard: Guard) -> tuple[Spent, Spent, tuple[Record, ...]]:
    """The metered session, the idle gap in it, and the requests' records."""
    asked, gap_s = at.asked.measured, at.engine.experiment.gap_s
    half = len(asked) // 2 if gap_s else len(asked)
    gap = meters.Spent()
    with meters.window(guard.server, "session") as session:
        records = _asked(at, cell, asked[:half], guard)
        if gap_s:
            with meters.window(guard.server, "gap") as gap:
                _rest(at, cell, guard.server, gap_s)
            records += _asked(at, cell, asked[half:], guard)
    return session, gap, records


def _rest(at: Setup, cell: Cell, server: Running, gap_s: float) -> None:
    """Let the server rest; what puts it to sleep and wakes it is part of the gap."""
    for one in cell.sleep:
        readback.call(server, one, at.headers)
    time.sleep(gap_s)
    for one in cell.wake:
        readback.call(server, one, at.headers)


def _asked(at: Setup, cell: Cell, some: tuple[Request, ...], guard: Guard) -> tuple[Record, ...]:
    """Ask ``some``; every answer must count.

    Raises:
        CellError: Some answer failed, or has another length than asked for.
    """
    server, load = guard.server, at.engine.load
    target = Target(address=server.address, concurrency=cell.concurrency, timeout_s=load.timeout_s, headers=at.headers)
    asked = asking.with_fields(some, cell.request)
    records = client.drive(target, asked, guard)
    if guard.found is not None:
        raise guard.found
    bad = [r for r in records if r.outcome is not Outcome.OK]
    if bad:
        crashed = bad[0].outcome is Outcome.ERROR and server.ended(_SETTLE_S)
        kind = FaultKind.CRASHED if crashed else FAULTS[bad[0].outcome]
        raise CellError(kind, f"{len(bad)} of {len(records)} requests, first number {bad[0].number}: {bad[0].error}")
    if load.fixed_length:
        _require_length(asked, records)
    return records


def _require_length(asked: Sequence[Request], records: Sequence[Record]) -> None:
    """Cells are compared at equal work, so an answer must have the length that was asked for."""
    for request, record in zip(asked, records, strict=True):
        wanted, found = request.output_tokens, record.output_tokens
        if wanted is not None and found is not None and found != wanted:
            words = f"request {record.number} has {found:g} tokens, asked for {wanted}: set ignore_eos, or fixed_length: false"
            raise CellError(FaultKind.SHORT_OUTPUT, words)
