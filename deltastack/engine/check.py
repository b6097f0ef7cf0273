"""``deltastack engine check``: what a declaration would do, without measuring.

Only looking: files, the key's variable, the port, conflicts, the number of server starts. Starting too: the base and every
technique alone, so that a flag which this version does not know, a switch that does not take and the minutes of a run are known
before any of them is spent.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from deltastack.engine import asking, bench, cells, observe, process, readback
from deltastack.engine.cells import BASE
from deltastack.engine.consistency import filled
from deltastack.engine.faults import RunsError
from deltastack.errors import DeltastackError
from deltastack.experiment.plan import Kind, Slot
from deltastack.machine import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from deltastack.engine.bench import Order
    from deltastack.engine.declaration import Engine
    from deltastack.engine.loading import Setup


class Forecast(NamedTuple):
    """What a whole experiment takes at the pace of one run of the base."""

    cells: int
    starts: int
    run_s: float
    unit: str

    @property
    def pair_minutes(self) -> float:
        """Minutes of one pair of blocks, the least there is."""
        return self.starts * self.run_s / 60


class Checked(NamedTuple):
    """Everything that was looked at, and the forecast where the base ran."""

    checks: list[Check]
    forecast: Forecast | None


def check(root: Path, engine: Engine, order: Order, say: Callable[[str], None], *, start: bool) -> Checked:
    """Look at ``engine`` and, with ``start``, run its base and every technique alone once.

    Raises:
        ParamsError: Requests that do not hold, or a missing API key.
    """
    found = [*_static(root, engine, order)]
    if not start or any(c.state == "fail" for c in found):
        return Checked(found, None)
    at = observe.setup(engine, root, root / bench.FOLDER / "logs", asking.requests(engine.load, root, order.trace))
    forecast = None
    with process.ended_by_signals(), at.source:
        for cell in _tried(engine, order):
            say(f"{'starting' if engine.start is not None else 'visiting'} {cell}")
            began_s = time.monotonic()
            one = _run(at, cell)
            found.append(one)
            if cell == BASE and one.state == "ok":
                forecast = _forecast(engine, order, time.monotonic() - began_s)
            elif cell == BASE:
                break
    return Checked(found, forecast)


def resolved(root: Path, engine: Engine, cell: str) -> readback.Resolved:
    """What the server of ``cell`` says it resolved, source by source; the server is started and ended.

    Raises:
        CellError: It does not start, or a source does not answer.
    """
    at = observe.setup(engine, root, root / bench.FOLDER / "logs", asking.Asked((), ()))
    with process.ended_by_signals(), at.source, observe.serving(at, cells.resolve(engine, cell, root)) as server:
        return readback.resolved(server, engine.sources, at.headers)


def _static(root: Path, engine: Engine, order: Order) -> Iterator[Check]:
    for name, path in engine.files.items():
        there = (root / path).exists()
        yield Check(
            f"file {name}",
            "ok" if there else "fail",
            path,
            "" if there else engine.made_by or "write it, or name another in files",
        )
    if engine.key_variable is not None:
        yield _headers(engine)
    if engine.start is not None and engine.start.port:
        taken = process.listens(filled(engine.address, engine.values | {"port": str(engine.start.port)}))
        yield Check("port", "fail" if taken else "ok", str(engine.start.port), "end what listens there" if taken else "")
    for layer, why in engine.absent.items():
        yield Check(f"layer {layer}", "absent", why.reason, why.source)
    for cell in cells.names(engine, order.chosen):
        out, notes = cells.left_out(engine, cell), cells.notes(engine, cell)
        if out is not None:
            yield Check(f"cell {cell}", "absent", f"left out: {out}")
        yield from (Check(f"cell {cell}", "absent", note) for note in notes if out is None)


def _headers(engine: Engine) -> Check:
    try:
        observe.headers(engine)
    except DeltastackError as error:
        return Check("API key", "fail", f"no {engine.key_variable} in the environment", str(error))
    return Check("API key", "ok", f"in {engine.key_variable}")


def _tried(engine: Engine, order: Order) -> tuple[str, ...]:
    """The base and every technique alone, or those that were named, each under a cell's name."""
    wanted = dict.fromkeys((BASE, *order.only)) if order.only else cells.names(engine, order.chosen)
    every = [c for c in wanted if cells.left_out(engine, c) is None]
    return tuple(c for c in every if c == BASE or engine.start is None or len(cells.techniques_of(engine, c)) == 1)


def _run(at: Setup, cell: str) -> Check:
    slot = Slot(start=0, block=0, position=0, cell=cell, kind=Kind.WARM_UP)
    try:
        (one,) = bench.observed(at, (slot,), ask=())
    except RunsError as error:
        return Check(f"cell {cell}", "fail", str(error), "mend the declaration, or declare a conflict with its source")
    entry = one.entry
    shown = ", ".join(f"{k} {v:g}" for k, v in entry.quality.items() if k.endswith("_tokens") or "." in k)
    return Check(f"cell {cell}", "ok", f"ready in {entry.quality['ready_s']:.1f} s; {shown}")


def _forecast(engine: Engine, order: Order, run_s: float) -> Forecast:
    """Servers that are up at once share the idle gap."""
    plan = bench.planned(engine, order)
    shared_s = engine.experiment.gap_s * (1 - 1 / len(plan.block)) if engine.experiment.together else 0.0
    return Forecast(len(plan.cells), 2 * len(plan.block), run_s - shared_s, engine.unit)
