"""One run of one cell: start, read back, warm up, load under the meter, read counters, ask questions, stop.

Whatever goes wrong ends in a ``CellError`` that names what; the server is gone by then.
"""

from __future__ import annotations

import contextlib
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from deltastack.engine import asking, cells, exact, loading, meters, phases, process, readback
from deltastack.engine.faults import FaultKind
from deltastack.engine.guard import Guard
from deltastack.engine.loading import Setup
from deltastack.engine.warm import Source
from deltastack.errors import CellError, ParamsError, PreflightError
from deltastack.experiment.ledger import Entry
from deltastack.experiment.plan import plain
from deltastack.model import Component

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from deltastack.engine.asking import Asked
    from deltastack.engine.cells import Cell
    from deltastack.engine.client import Record
    from deltastack.engine.declaration import Engine
    from deltastack.engine.process import Running
    from deltastack.engine.readback import Resolved
    from deltastack.experiment.plan import Slot

_FREE_SHARE = 0.8


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
        PreflightError: A file that the declaration names is missing.
    """
    require_files(engine, root)
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
        source=Source(engine, root, logs),
    )


def require_files(engine: Engine, root: Path) -> None:
    """Refuse a declaration whose files are not there.

    Raises:
        PreflightError: One is missing.
    """
    for name, path in engine.files.items():
        if not (root / path).exists():
            remedy = engine.made_by or f"write it, or name another in files.{name}"
            raise PreflightError(f"{engine.name} has no {path}: {remedy}")


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
        server = at.source.running(engine.start, command, log, at.headers)
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
        loading.asked(at, cell, at.asked.warm, guard)
        for one in at.engine.clear:
            readback.call(server, one, at.headers)
        before = readback.resolved(server, readback.needed(at.engine), at.headers)
        spent, gap, records = loading.session(at, cell, guard)
        after = readback.resolved(server, readback.needed(at.engine), at.headers)
        answered = loading.asked(at, cell, at.questions, guard) if ask else ()
    figures = phases.counts(records) | phases.latencies(records) | counted(at.engine, before, after) | start
    figures |= exact.figures(at.engine.work, at.root, cell, records, figures)
    figures |= evidence(cell, records, before, after) | {"requests": float(len(records))}
    parts = [phases.components(spent.less(gap), records), phases.whole(gap, Component.IDLE)]
    if at.engine.experiment.count_start:
        parts.append(phases.of_start(start))
    components = {str(c): {str(r): v for r, v in some.items()} for c, some in phases.added(parts).items()}
    entry = Entry(slot=slot, readings=spent.readings, components=components, quality=figures)
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
