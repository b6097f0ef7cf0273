"""The engine bench: a declaration and a budget in, tables of the contracts out.

All sets of layers and all techniques alone are one experiment: they share the base, its twin and the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from deltastack import machine_fingerprint
from deltastack.composition import counted_again
from deltastack.contracts import COUNTER, DELTA, JOINT, QUALITY
from deltastack.engine import asking, cells, observe, outputs, process, tables
from deltastack.engine.faults import RunsError
from deltastack.engine.run import Experiment, Measured, execute
from deltastack.engine.run import key as key_of
from deltastack.errors import CellError, ParamsError
from deltastack.experiment import contention, occasion
from deltastack.experiment.meter import Quantity
from deltastack.experiment.plan import Plan, distinct, plain
from deltastack.experiment.run_plan import StopRule

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from deltastack.engine.asking import Asked
    from deltastack.engine.declaration import Engine
    from deltastack.engine.loading import Setup
    from deltastack.engine.observe import Observed
    from deltastack.experiment.plan import Slot

FOLDER = ".run/engine"
QUANTITIES = {"cpu_s": Quantity.CPU_S, "time_s": Quantity.WALL_S, "energy_j": Quantity.ENERGY_J}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frames:
    """What an experiment of an engine leaves behind, table by table, and what has no row."""

    joint: pd.DataFrame
    deltas: Mapping[str, pd.DataFrame]
    """Contract DELTA, by layer."""
    quality: pd.DataFrame
    counters: pd.DataFrame
    measured: Measured
    layers: tuple[str, ...]
    """The layers of the factorial: those whose every combination ran."""
    left_out: Mapping[str, str]
    """Cells that were not begun, and why."""
    notes: Mapping[str, tuple[str, ...]]
    """Conflicts without effect, by cell."""
    host: str
    forget: Callable[[], None]
    """Remove the records; once the tables are written."""
    occasion: Mapping[str, Any] = field(default_factory=dict)
    """When it was measured, under which key, and what else used the machine (``experiment.occasion``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller may choose beside the declaration."""

    budget_s: float | None = None
    """Seconds; None takes the declaration's."""
    chosen: str = "all"
    """``all`` or ``half`` of the sets of layers."""
    only: tuple[str, ...] = ()
    """These cells beside the base, instead of all."""
    layers: tuple[str, ...] | None = None
    """Sets of these layers alone; None takes every layer that the engine has a switch for."""
    trace: pd.DataFrame | None = None
    canonical: bool = True


def measure(root: Path, engine: Engine, order: Order, say: Callable[[str], None]) -> Frames:
    """Measure every cell of ``engine`` in one experiment; goes on where it was cut.

    Raises:
        ParamsError: A declaration that does not hold here.
        PreflightError: A file that it names is missing.
        StageError: The base cannot be run.
    """
    wanted, left_out = _cells(engine, order)
    for cell, why in left_out.items():
        say(f"{cell} is left out: {why}")
    for again in (counted_again(m, of) for m, of in engine.sharing(order.layers).items()):
        if again is not None:
            say(again)
    plan = _plan(engine, wanted)
    observe.require_files(engine, root)
    asked = asking.requests(engine.load, root, order.trace)
    _require_turns(engine, asked)
    at = observe.setup(engine, root, root / FOLDER / "logs", asked)
    where = host(engine)
    key = _key(at, plan, where)
    experiment = Experiment(plan, root / FOLDER, key, engine)
    stop = StopRule(
        half_width=engine.experiment.half_width,
        budget_s=order.budget_s or engine.experiment.budget_s,
        quantity=QUANTITIES[engine.experiment.quantity],
    )
    with process.ended_by_signals(), at.source, contention.watch() as seen:
        measured = execute(experiment, partial(observed, at), stop, say)
    found = _frames(engine, measured, at, canonical=order.canonical, where=where)
    told = occasion.stamp(key, seen) | ({} if engine.start is not None else {"starts": 1})
    return replace(found, left_out=left_out, notes=_notes(engine, wanted), forget=experiment.forget, occasion=told)


def planned(engine: Engine, order: Order) -> Plan:
    """The plan of an experiment, as ``measure`` runs it.

    Raises:
        ParamsError: No cell beside the base.
    """
    return _plan(engine, _cells(engine, order)[0])


def observed(at: Setup, slots: Sequence[Slot], *, ask: Collection[Slot]) -> tuple[Observed, ...]:
    """Some runs; what goes wrong is told without the API key.

    Raises:
        RunsError: Some run does not count.
    """
    try:
        return observe.observe(at, slots, ask=ask)
    except RunsError as error:
        told = {s: CellError(e.kind, hidden(str(e).removeprefix(f"{e.kind}: "), at.headers)) for s, e in error.found.items()}
        raise RunsError(told) from None


def hidden(text: str, headers: Mapping[str, str]) -> str:
    """``text`` with every secret of ``headers`` blotted out.

    >>> hidden("no access for abc123", {"Authorization": "Bearer abc123"})
    'no access for ***'
    """
    for value in headers.values():
        text = text.replace(value.removeprefix("Bearer "), "***")
    return text


def host(engine: Engine) -> str:
    """Where an engine's samples come from: this machine, or the servers that run elsewhere; never with a password in it."""
    if engine.start is not None:
        return machine_fingerprint.fingerprint(engine.name)
    places = sorted({f"{p.hostname}:{p.port or p.scheme}" for a in engine.addresses.values() for p in [urlsplit(a)]})
    return f"servers at {', '.join(places)} | device={engine.name}"


def _cells(engine: Engine, order: Order) -> tuple[tuple[str, ...], dict[str, str]]:
    """The cells to run, the base first, and why others are not."""
    every = ("base", *(c for c in order.only if c != "base")) if order.only else cells.names(engine, order.chosen, order.layers)
    left_out = {c: why for c in every if (why := cells.left_out(engine, c)) is not None}
    wanted = tuple(c for c in every if c not in left_out)
    if len(wanted) == 1:
        raise ParamsError(f"{engine.name}: no cell beside the base: switch a technique on, or name a cell")
    return wanted, left_out


def _plan(engine: Engine, wanted: tuple[str, ...]) -> Plan:
    e = engine.experiment
    twins = ("base",) * e.twins
    repeats = tuple((c, n) for c, n in e.repeats.items() if c in wanted)
    every = distinct(["base", *twins, *wanted[1:]])
    return Plan(cells=every, starts=1, block_pairs=e.block_pairs, warm_ups=0, seed=e.seed, repeats=repeats)


def _require_turns(engine: Engine, asked: Asked) -> None:
    """Refuse servers that take turns with requests that are due at a time of their own.

    Raises:
        ParamsError: There are such.
    """
    if engine.experiment.together and any(r.due_s is not None for r in asked.measured):
        raise ParamsError(f"{engine.name}: arrivals of a trace leave no turns: set load.replay or experiment.together to false")


def _notes(engine: Engine, wanted: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {c: found for c in wanted if (found := cells.notes(engine, c))}


def _key(at: Setup, plan: Plan, where: str) -> str:
    resolved = [cells.resolve(at.engine, plain(c), at.root) for c in plan.cells]
    used = {at.root / f for f in at.engine.files.values()} | {at.root / f for c in resolved for f in _local(at, c)}
    bodies = repr([(r.path, r.body, r.answer, r.due_s) for r in (*at.asked.warm, *at.asked.measured, *at.questions)])
    words = [at.engine.model_dump_json(), repr(plan), where, bodies]
    return key_of(words, sorted(f for f in used if f.is_file()))


def _local(at: Setup, cell: cells.Cell) -> list[str]:
    return [cell.words[name] for name in at.engine.files]


def _frames(engine: Engine, measured: Measured, at: Setup, *, canonical: bool, where: str) -> Frames:
    entries = [e for e in measured.entries if plain(e.slot.cell) not in measured.given_up]
    ran = {plain(e.slot.cell) for e in entries}
    layers = tables.full_layers(engine.layers, ran)
    known = {c: o for c, o in measured.outputs.items() if c in ran}
    deltas = {x: tables.delta_rows(engine, entries, x, host=where, canonical=canonical) for x in engine.declared_layers}
    return Frames(
        joint=JOINT.frame(tables.joint_rows(entries, layers, host=where, canonical=canonical)),
        deltas={x: DELTA.frame(rows) for x, rows in deltas.items()},
        quality=QUALITY.frame(outputs.rows(known, at.questions, host=where, canonical=canonical)),
        counters=COUNTER.frame(tables.counter_rows(entries, host=where, canonical=canonical)),
        measured=measured,
        layers=layers,
        left_out={},
        notes={},
        host=where,
        forget=lambda: None,
    )
