"""The testbed as a bench: cells in, metered runs out.

A cell is a name and the switches that are on in it. ``opened`` is what a process start of an experiment opens: it builds
the engine once, and then runs slots. What a run reports: the meter's readings of the whole session, and amounts by
component as the engine timed them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltastack.errors import OutOfValidityError
from deltastack.experiment import starts
from deltastack.experiment.ledger import Entry
from deltastack.experiment.meter import Meter, Quantity
from deltastack.experiment.plan import plain
from deltastack.model import Component, Resource
from deltastack.testbed.vlm import models, requests

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.experiment.meter import Reading
    from deltastack.experiment.plan import Slot
    from deltastack.experiment.run_plan import CellRunner
    from deltastack.testbed.settings import Testbed
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Batch
    from deltastack.testbed.vlm.session import Outcome

Switch = Callable[["Engine"], AbstractContextManager[None] | None]
"""Puts one technique on; None where the technique has no meaning on the testbed. Picklable."""
Cells = Mapping[str, tuple[Switch, ...]]
"""Cell name to what is on in it, in the order of entering."""
Opened = AbstractContextManager["CellRunner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a process start needs: picklable."""

    root: Path
    settings: Testbed
    text_share: float
    cells: Cells


@contextlib.contextmanager
def entered(engine: Engine, switches: tuple[Switch, ...]) -> Iterator[None]:
    """All of ``switches`` on.

    Raises:
        OutOfValidityError: One has no meaning here, or cannot be combined.
    """
    with contextlib.ExitStack() as stack:
        for switch in switches:
            on = switch(engine)
            if on is None:
                raise OutOfValidityError("the technique has no meaning on the testbed")
            stack.enter_context(on)
        yield


def possible(engine: Engine, cells: Cells) -> tuple[Cells, dict[str, str]]:
    """The cells that can be entered here, and why the others cannot."""
    good, reasons = {}, {}
    for name, switches in cells.items():
        try:
            with entered(engine, switches):
                good[name] = switches
        except OutOfValidityError as error:
            reasons[name] = str(error)
    return good, reasons


@contextlib.contextmanager
def opened(start: int, setup: Setup) -> Iterator[CellRunner]:
    """The runner of one process start."""
    del start  # every start serves the same requests: what differs between starts is the process
    engine = models.engine(setup.root, setup.settings)
    trained = setup.settings.profile == "trained"
    session = requests.batches(engine.host, setup.settings.session, text_share=setup.text_share, trained=trained)
    meter = Meter(synchronise=engine.device.synchronise if engine.device.waits else None)

    def run(slot: Slot) -> Entry:
        with entered(engine, setup.cells[plain(slot.cell)]):
            return observe(engine, session, meter, slot, setup.settings.session.start_serves)

    yield run


def observe(engine: Engine, session: tuple[Batch, ...], meter: Meter, slot: Slot, serves: int | None = None) -> Entry:
    """One metered session of what is switched on now; files are stored before the window opens.

    Loading and packing are charged to the requests that one start ``serves``, and read apart as ``load_s`` and ``load_cpu_s``.
    """
    engine.stored()
    with meter.window(slot.key) as window:
        outcome = engine.run(session)
    components = {str(c): {str(r): float(x) for r, x in v.items()} for c, v in outcome.amounts.items()}
    read = window.readings[Quantity.IO_READ_BYTE].value
    if read is not None and outcome.cached_byte_before == 0:
        components[Component.STORAGE][Resource.IO_BYTE] = read
    figures = _figures(outcome, session)
    free = 1 - starts.charged(figures["requests"], serves)
    loaded = dict(zip((Resource.TIME_S, Resource.CPU_S), (free * s for s in outcome.load_s), strict=True))
    for resource, seconds in loaded.items():
        components[Component.STORAGE][resource] -= seconds
    return Entry(
        slot=slot, readings=without(window.readings, loaded, wall_s=outcome.wall_s), components=components, quality=figures
    )


def without(readings: Mapping[Quantity, Reading], loaded: Mapping[Resource, float], *, wall_s: float) -> dict[Quantity, Reading]:
    """Readings of a session of ``wall_s`` without the loading that others are charged; joules by its share of the time."""
    less = {Quantity.WALL_S: loaded[Resource.TIME_S], Quantity.CPU_S: loaded[Resource.CPU_S]}
    found = {q: r if r.value is None else r._replace(value=r.value - less.get(q, 0.0)) for q, r in readings.items()}
    joules = readings.get(Quantity.ENERGY_J)
    if joules is not None and joules.value is not None:
        found[Quantity.ENERGY_J] = joules._replace(value=joules.value * (1 - loaded[Resource.TIME_S] / wall_s))
    return found


def _figures(outcome: Outcome, session: tuple[Batch, ...]) -> dict[str, float]:
    """What the run itself can say: how well the components add up, and how many answers were right."""
    figures = {
        "component_share": outcome.total(Resource.TIME_S) / outcome.wall_s,
        "asked_byte": float(outcome.asked_byte),
        "cached_byte_before": float(outcome.cached_byte_before),
        "requests": float(sum(len(b.prompts) for b in session)),
        "load_s": outcome.load_s[0],
        starts.LOADED: outcome.load_s[1],
    }
    pairs = [(s.tokens, b.answers) for s, b in zip(outcome.served, session, strict=True) if b.answers is not None]
    if pairs:
        figures["right"] = float(sum(int((t[:, -1].cpu() == a[:, -1]).sum()) for t, a in pairs))
    return figures
