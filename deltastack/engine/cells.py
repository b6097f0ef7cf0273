"""Cells of an engine: which there are, what each one starts and asks, and which are left out before anything runs.

The factorial has every set of layers, a layer being all of its techniques that are on; beside it stands every technique that is
no layer by itself (``LAYER/TECHNIQUE``). All of them share one base and one plan.
"""

from __future__ import annotations

import itertools
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltastack import statistics
from deltastack.engine.consistency import filled
from deltastack.engine.process import Command
from deltastack.engine.techniques import ConflictKind
from deltastack.errors import ParamsError, UnknownNameError
from deltastack.model import MECHANISM, cell_name, cell_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from deltastack.engine.declaration import Engine, Start
    from deltastack.engine.techniques import Call, Conflict, Evidence, Expectation, Settings

BASE = "base"
Field = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell resolved: everything that differs from another cell."""

    name: str
    techniques: tuple[str, ...]
    flags: tuple[str, ...]
    environment: Mapping[str, str]
    words: Mapping[str, str]
    """Values and files by name; files as absolute paths."""
    request: Mapping[str, Field]
    concurrency: int
    expect: tuple[tuple[str, Expectation], ...]
    """What must have resolved, each with the technique that asks for it."""
    evidence: tuple[tuple[str, Evidence], ...]
    sleep: tuple[Call, ...] = ()
    """Made when the idle gap begins."""
    wake: tuple[Call, ...] = ()
    """Made before it ends."""


def names(engine: Engine, chosen: str = "all", among: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Every cell, the base first, then the sets of layers by size, then mechanisms that layers share, then techniques alone.

    Addresses name their own cells.

    Args:
        engine: The declaration.
        chosen: ``all`` sets of layers, or the planned ``half`` of five (``statistics.planned``).
        among: Layers that sets are made of, and whose techniques run alone; None takes all.

    Raises:
        ParamsError: A half of more than five layers.
    """
    if engine.start is None:
        return (BASE, *(c for c in engine.addresses if c != BASE))
    layers = tuple(x for x in engine.layers if among is None or x in among)
    wanted = {cell_name(x for i, x in enumerate(layers) if m >> i & 1) for m in statistics.planned(layers, chosen)}
    sets = [c for n in range(len(layers) + 1) for some in itertools.combinations(layers, n) if (c := cell_name(some)) in wanted]
    switches = {n: t for n, t in engine.techniques.items() if among is None or t.layer in among}
    shared = [f"{MECHANISM}{m}" for m, of in engine.sharing(layers).items() if len(of) > 1]
    singles = [f"{t.layer}/{name}" for name, t in switches.items() if engine.of_layer(t.layer) != (name,)]
    return (*sets, *shared, *(singles if engine.experiment.alone else ()))


def techniques_of(engine: Engine, cell: str) -> tuple[str, ...]:
    """The techniques that are on in ``cell``.

    Raises:
        UnknownNameError: No such layer or technique.
    """
    if cell.startswith(MECHANISM):
        if cell.removeprefix(MECHANISM) not in engine.mechanisms:
            there = ", ".join(engine.mechanisms) or "none"
            raise UnknownNameError(f"{engine.name} has no mechanism '{cell.removeprefix(MECHANISM)}'; it has: {there}")
        return ()
    if "/" in cell:
        layer, technique = cell.split("/", maxsplit=1)
        if technique not in engine.techniques or engine.techniques[technique].layer != layer:
            there = ", ".join(f"{t.layer}/{n}" for n, t in engine.techniques.items())
            raise UnknownNameError(f"{engine.name} has no technique '{cell}'; it has: {there}")
        return (technique,)
    wanted = cell_of(cell)
    if strange := wanted - set(engine.layers):
        raise UnknownNameError(f"{engine.name} has no layer '{min(strange)}'; it has: {', '.join(engine.layers) or 'none'}")
    return tuple(n for layer in engine.layers if layer in wanted for n in engine.of_layer(layer))


def resolve(engine: Engine, name: str, root: Path) -> Cell:
    """The cell called ``name``: the settings of every technique, ``on`` or ``off``, laid over the base's.

    Of a mechanism alone every technique is off, and the mechanism's own settings are laid over them.

    Raises:
        UnknownNameError: No such layer or technique.
        ParamsError: Two techniques of the cell set one thing to different values.
    """
    on = techniques_of(engine, name)
    states = {t: d.on_settings if t in on else d.off_settings for t, d in engine.techniques.items()}
    if name.startswith(MECHANISM):
        states |= {name: engine.mechanisms[name.removeprefix(MECHANISM)]}
    active = (name,) if name.startswith(MECHANISM) else on
    files = engine.files | _merged(name, active, states, "files")
    concurrency = _merged(name, active, {t: s for t, s in states.items() if s.concurrency is not None}, "concurrency")
    return Cell(
        name=name,
        techniques=on,
        flags=tuple(f for s in states.values() for f in s.flags),
        environment=_merged(name, active, states, "environment"),
        words=engine.values | _merged(name, active, states, "values") | {k: str((root / v).resolve()) for k, v in files.items()},
        request=engine.load.fields | _merged(name, active, states, "request"),
        concurrency=int(concurrency.get("concurrency", engine.load.concurrency)),
        expect=tuple((t, e) for t, s in states.items() for e in s.expect),
        evidence=tuple((t, e) for t in on for e in engine.techniques[t].evidence),
        sleep=tuple(c for s in states.values() for c in s.sleep),
        wake=tuple(c for s in states.values() for c in s.wake),
    )


def left_out(engine: Engine, cell: str) -> str | None:
    """Why ``cell`` cannot be run as declared, or None."""
    on = set(techniques_of(engine, cell))
    hard = {ConflictKind.REFUSED, ConflictKind.SILENTLY_OFF}
    return next((_why(c) for c in engine.conflicts if set(c.between) <= on and c.kind in hard), None)


def notes(engine: Engine, cell: str) -> tuple[str, ...]:
    """Conflicts of ``cell`` that let it run without effect."""
    on = set(techniques_of(engine, cell))
    return tuple(_why(c) for c in engine.conflicts if set(c.between) <= on and c.kind is ConflictKind.NO_EFFECT)


def command(engine: Engine, start: Start, cell: Cell, root: Path, port: int) -> Command:
    """What starts the server of ``cell`` on ``port``; flags stand where ``{flags}`` is, else at the end."""
    environment = dict(start.environment) | dict(cell.environment)
    words = dict(cell.words) | {"port": str(port), "python": sys.executable, "root": str(root), "cell": cell.name}
    shell = shlex.quote if start.quoted else str
    arguments: list[str] = []
    for argument in start.command if "{flags}" in start.command else (*start.command, "{flags}"):
        if argument == "{flags}":
            arguments += [shell(filled(f, words)) for f in cell.flags]
        elif argument == "{environment}":
            pairs = environment.items()
            arguments += [shell(w.format(name=k, value=v)) for k, v in pairs for w in start.environment_words]
        else:
            arguments.append(filled(argument, words))
    end = tuple(filled(a, words) for a in engine.stop.command)
    here = {} if "{environment}" in start.command else {k: filled(v, words) for k, v in environment.items()}
    return Command(arguments=tuple(arguments), environment=here, address=filled(engine.address, words), end=end)


def _merged(cell: str, on: Iterable[str], states: Mapping[str, Settings], group: str) -> dict[str, str]:
    """One group of settings over all techniques; what is on wins over what is off, two that are on must agree."""
    found: dict[str, str] = {}
    by: dict[str, str] = {}
    active = set(on)
    for technique, settings in sorted(states.items(), key=lambda item: item[0] in active):
        value = getattr(settings, group)
        for key, word in (value if isinstance(value, dict) else {group: value}).items():
            if found.get(key, word) != word and technique in active and by.get(key) in active:
                raise ParamsError(
                    f"cell '{cell}': {by[key]} sets {key} to {found[key]!r} and {technique} to {word!r}; "
                    f"declare them as a conflict, or give them one layer's settings"
                )
            found[key], by[key] = word, technique
    return found


def _why(conflict: Conflict) -> str:
    return f"{' with '.join(conflict.between)}: {conflict.kind.replace('_', ' ')} ({conflict.why}; {conflict.source})"
