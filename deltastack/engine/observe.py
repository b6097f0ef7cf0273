"""Runs of cells: one server alone, or those of a block up at once, which take turns request by request.

A neighbour who slows the machine for a second slows every server that takes turns, and cancels in their ratios; of servers that
run one after another it changes one. Whatever goes wrong ends in a ``RunsError`` that names what; no server is left by then.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import psutil

from deltastack.engine import asking, cells, exact, loading, phases, process, readback
from deltastack.engine.faults import FaultKind, RunsError
from deltastack.engine.loading import Setup
from deltastack.engine.visit import Visit
from deltastack.engine.warm import Source
from deltastack.errors import CellError, ParamsError, PreflightError
from deltastack.experiment import starts
from deltastack.experiment.ledger import Entry
from deltastack.experiment.plan import plain
from deltastack.model import Component

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
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
def serving(at: Setup, cell: Cell, name: str | None = None) -> Iterator[Running]:
    """The server of ``cell``, healthy; its log is called ``name``, by default as the cell.

    Raises:
        CellError: It did not start.
    """
    engine = at.engine
    if engine.start is None:
        server = process.attached(engine.addresses[cell.name], engine.health, at.headers)
    else:
        port = engine.start.port or process.free_port()
        command = cells.command(engine, engine.start, cell, at.root, port)
        log = at.logs / f"{(name or cell.name).replace('/', '.')}.log"
        server = at.source.running(engine.start, command, log, at.headers)
    with server as here:
        yield here


def observe(at: Setup, slots: Sequence[Slot], *, ask: Collection[Slot]) -> tuple[Observed, ...]:
    """Run ``slots``: one alone, or several whose servers are up at once and take turns.

    Args:
        at: What all runs share.
        slots: Which runs.
        ask: Those that are put the questions too, after the load.

    Raises:
        RunsError: Some run does not count, and so none of the group; the message says why.
    """
    visits = [Visit(at, s, cells.resolve(at.engine, plain(s.cell), at.root), shared=len(slots) > 1, ask=s in ask) for s in slots]
    faults: dict[Slot, CellError] = {}
    found: list[Observed] = []
    try:
        for step in _steps(at, visits):
            _each(visits, step, faults)
            if faults:
                break
        else:
            _each(visits, lambda v: found.append(_observed(at, v)), faults)
    finally:
        _each(visits, Visit.stop, faults)
    if faults:
        raise RunsError(faults)
    return tuple(found)


def _steps(at: Setup, visits: list[Visit]) -> Iterator[Callable[[Visit], None]]:
    """What every server of a group does, one after another.

    Every round of turns has the same order, so that each server waits equally long between two turns. One that had two turns
    on end, as an order that turns round gives the last one, would find its caches warm: it took up to 9 % less.
    """
    logs = _logs(visits)
    yield lambda v: v.start(partial(serving, at, v.cell, logs[v.slot]))
    yield Visit.warm
    yield Visit.begin
    parts = loading.turns(at, [v.cell for v in visits])
    for number, some in enumerate(parts):
        if at.engine.experiment.gap_s and number == -(-len(parts) // 2):
            yield Visit.rest
            time.sleep(at.engine.experiment.gap_s)
            yield Visit.wake
        yield partial(Visit.turn, some=some)
    yield Visit.end
    yield Visit.question


def _logs(visits: Sequence[Visit]) -> dict[Slot, str]:
    """The name of each server's log: its cell, and a number where several servers of one cell are up."""
    found: dict[Slot, str] = {}
    for one in visits:
        nth = sum(s.cell == one.slot.cell for s in found) + 1
        found[one.slot] = one.slot.cell if nth == 1 else f"{one.slot.cell}.{nth}"
    return found


def _each(visits: Sequence[Visit], step: Callable[[Visit], None], faults: dict[Slot, CellError]) -> None:
    """Take one step with every server; what fails is written down, and the others take it all the same."""
    for one in visits:
        try:
            step(one)
        except CellError as error:
            faults.setdefault(one.slot, error)


def _observed(at: Setup, v: Visit) -> Observed:
    """A finished run as the ledger keeps it.

    Raises:
        CellError: Its techniques did not show at work.
    """
    figures = phases.counts(v.records) | phases.latencies(v.records) | counted(at.engine, v.before, v.after) | v.start_figures
    figures |= exact.figures(at.engine.work, at.root, v.cell, v.records, figures)
    figures |= evidence(v.cell, v.records, v.before, v.after) | {"requests": float(len(v.records))}
    parts = [phases.components(v.load, v.records), phases.whole(v.gap, Component.IDLE)]
    if at.engine.experiment.count_start:
        share = starts.charged(len(v.records), at.engine.experiment.start_serves)
        parts.append(phases.of_start({name: share * x for name, x in v.start_figures.items()}))
    components = {str(c): {str(r): v for r, v in some.items()} for c, some in phases.added(parts).items()}
    entry = Entry(slot=v.slot, readings=v.load.plus(v.gap).readings, components=components, quality=figures)
    return Observed(entry=entry, records=v.records, answered=v.answered, resolved=v.found)


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
