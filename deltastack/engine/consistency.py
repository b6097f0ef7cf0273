"""What a declaration must hold to in itself: names that are used are declared, and every switch switches something."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deltastack.engine.declaration import Engine

ALWAYS_KNOWN = frozenset({"port", "python", "root", "cell"})
"""Names that a command may use beside the declaration's own ``values`` and ``files``."""
EXPANDED = ("{flags}", "{environment}")
"""Arguments that stand for several: the cell's flags, and its environment as words for a remote command."""
_NAME = re.compile(r"\{([a-z_][a-z0-9_]*)\}")


def filled(text: str, words: Mapping[str, str]) -> str:
    """``text`` with every ``{name}`` that ``words`` has replaced; other braces, such as JSON, stay.

    >>> filled('--config {"a": 1} --port {port}', {"port": "80"})
    '--config {"a": 1} --port 80'
    """
    return _NAME.sub(lambda found: words.get(found[1], found[0]), text)


def breaches(engine: Engine) -> Iterator[str]:
    """Where ``engine`` contradicts itself, in words."""
    yield from _start(engine)
    yield from _names(engine)
    yield from _switches(engine)
    yield from _together(engine)


def _together(engine: Engine) -> Iterator[str]:
    if engine.experiment.together and engine.load.generator != "client":
        yield f"experiment.together: {engine.load.generator} cannot let servers take turns: use generator client, or false"
    if engine.experiment.together and engine.experiment.quantity == "energy_j":
        yield "experiment.together: several servers are up at once, and nobody can tell their joules apart: set it to false"
    if engine.experiment.together and engine.start is not None and engine.start.port:
        yield "experiment.together: several servers are up at once, so start.port must be 0 (a free one each)"


def _start(engine: Engine) -> Iterator[str]:
    if (engine.start is None) != bool(engine.addresses):
        yield "wanted either start (the bench starts the server) or addresses (one running server a cell), found both or neither"
    if engine.start is None and "base" not in engine.addresses:
        yield "addresses: no 'base' among the cells"
    if engine.start is not None:
        known = ALWAYS_KNOWN | engine.values.keys() | engine.files.keys()
        warm = () if engine.start.warm is None else (engine.start.warm.python,)
        words = [w for w in (*engine.start.command, *engine.stop.command, *warm, engine.address) if w not in EXPANDED]
        strange = sorted({n for w in words for n in _NAME.findall(w)} - known)
        if strange:
            yield f"no value or file for {', '.join('{' + n + '}' for n in strange)}; there are: {', '.join(sorted(known))}"
    if engine.values.keys() & engine.files.keys():
        yield f"both in values and files: {', '.join(sorted(engine.values.keys() & engine.files.keys()))}"


def _names(engine: Engine) -> Iterator[str]:
    wanted = {c.source for c in engine.counters.values()}
    for technique in engine.techniques.values():
        wanted |= {e.source for s in technique.states for e in s.expect} | {e.source for e in technique.evidence}
    if strange := sorted(wanted - engine.sources.keys() - {"requests"}):
        yield f"no source called {', '.join(strange)}; there are: requests, {', '.join(engine.sources)}"
    used = {m for t in engine.techniques.values() for m in t.mechanisms}
    if strange := sorted(used - engine.mechanisms.keys()):
        yield f"techniques use mechanisms that are not declared: {', '.join(strange)}"
    named = {t for c in engine.conflicts for t in c.between}
    if strange := sorted(named - engine.techniques.keys()):
        yield f"conflicts name techniques that are not declared: {', '.join(strange)}"
    if both := sorted(engine.absent.keys() & set(engine.layers)):
        yield f"absent and present at once: {', '.join(both)}"


def _switches(engine: Engine) -> Iterator[str]:
    every = {n: t.states for n, t in engine.techniques.items()} | {f"mechanism {n}": (s,) for n, s in engine.mechanisms.items()}
    for name, states in every.items():
        strange = {k for s in states for k in (s.values.keys() - engine.values.keys()) | (s.files.keys() - engine.files.keys())}
        if strange:
            yield f"{name} sets {', '.join(sorted(strange))}, which values and files do not have"
    for name, technique in engine.techniques.items():
        on, off = (s.model_copy(update={"expect": ()}) for s in technique.states)
        if engine.start is not None and on == off:
            yield f"{name}: on_settings and off_settings are the same: nothing would be switched"
        if any(s.sleep or s.wake for s in technique.states) and not engine.experiment.gap_s:
            yield f"{name} has calls for the idle gap, but experiment.gap_s is 0: give the gap a length"
