"""Measurements that a person asks for: some cells against the base, or the noise floor alone.

Cells are named as in the tables: ``base``, a set of layers (``idle+storage``), or one technique (``idle/encoder_skip``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltastack import layers
from deltastack.errors import ParamsError, UnknownNameError
from deltastack.evaluation import testbed_cells
from deltastack.model import Component, Resource, cell_name, cell_of
from tasks import stage_runner, testbed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from deltastack.experiment.contention import Neighbours
    from deltastack.experiment.ledger import Entry
    from deltastack.testbed.bench import Cells, Switch
    from deltastack.testbed.measure_cells import Measured
    from deltastack.testbed.operation_count import Work

_EVEN_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An experiment, who else used the machine meanwhile, and what the meter itself costs a window."""

    measured: Measured
    neighbours: Neighbours
    overhead_s: float
    work: Mapping[str, Work]
    """Exact work of one session, by cell."""


def measure(root: Path, names: list[str], *, budget_s: float, starts: int, say: Callable[[str], None]) -> Session:
    """Measure the cells called ``names``, the first of which is the base, under the lock of the machine.

    Raises:
        UnknownNameError: A name that is no cell, layer or technique.
        ParamsError: Nothing to compare with the base.
        DeltastackError: As ``measure_cells.measure``.
    """
    wanted = ("base", *names[1:]) if names[:1] == ["base"] else ("base", *names)
    if len(wanted) == 1:
        raise ParamsError("--cells base: wanted a cell beside the base, such as base,idle; base,base measures the noise alone")
    testbed.one_thread()
    from deltastack.experiment import contention
    from deltastack.experiment.meter import Meter
    from deltastack.experiment.plan import plain
    from deltastack.testbed import measure_cells, settings
    from deltastack.testbed.bench import Setup
    from deltastack.testbed.vlm import models

    p = settings.load(root)
    cells: Cells = {name: _switches(root, name) for name in dict.fromkeys(["base", *names])}
    has_workload = (root / "data" / "workload.parquet").is_file()
    at = testbed.setup(root, p, cells) if has_workload else Setup(root=root, settings=p, text_share=_EVEN_SHARE, cells=cells)
    plan = measure_cells.Effort(
        starts=starts, budget_s=budget_s, block_pairs=p.measuring.block_pairs, half_width=1e-4, seed=p.measuring.seed
    )
    with (
        stage_runner.lock(stage_runner.machine_lock(), "another measurement runs on this machine, waiting", say),
        contention.watch() as seen,
    ):
        measured = measure_cells.measure(models.engine(root, p), at, plan, say, cells=wanted)
    measured.finish()
    work = measure_cells.exact(at, dict.fromkeys(plain(c) for c in wanted))
    return Session(measured=measured, neighbours=seen, overhead_s=Meter().overhead_s(), work=work)


def findings(session: Session) -> dict[str, Any]:
    """Everything the runs allow to say, as plain values."""
    from deltastack.experiment.plan import Kind
    from deltastack.testbed import findings

    entries = session.measured.entries
    cells = tuple(dict.fromkeys(e.slot.cell for e in entries if e.slot.cell != "base"))
    floors = findings.floors(entries)
    pair_s = findings.pair_s(entries)
    runs = [e for e in entries if e.slot.kind is Kind.RUN]
    drift = findings.drift(entries)
    return {
        "stopped": str(session.measured.stopped),
        "host": session.measured.host,
        "runs": len(runs),
        "cells": [_cell(v) for v in findings.verdicts(entries, cells, floors)],
        "floor": {str(q): _floor(f) | {"pairs_a_unit": findings.per_unit(entries, f, q)} for q, f in floors.items()},
        "needs": {
            str(q): [n._asdict() for n in findings.needs(f, pair_s, findings.per_unit(entries, f, q))] for q, f in floors.items()
        },
        "components": _components(runs),
        "component_share": _extremes([e.quality["component_share"] for e in runs]),
        "drift_per_run": None if drift is None else {"change": drift[0], "found": drift[1]},
        "outliers": {str(k): n for k, n in findings.outliers(entries).items()},
        "exact": {
            cell: {"operations": w.total, "packed_operations": w.packed_operations, "weights_touched": w.weights_touched}
            for cell, w in session.work.items()
        },
        "neighbours": session.neighbours.words(),
        "meter_overhead_s": session.overhead_s,
    }


def _cell(v: Any) -> dict[str, Any]:
    n = v.nested
    head = {"cell": v.cell, "quantity": str(v.quantity), "words": v.words}
    if n is None:
        return head | {"delta": None, "lo": None, "hi": None, "pairs": 0, "starts": 0}
    return head | {"delta": n.delta, "lo": n.low, "hi": n.high, "pairs": n.pairs, "starts": n.starts}


def _floor(f: Any) -> dict[str, Any]:
    return {
        "pairs": f.pairs,
        "sd_log": f.sd_log,
        "delta": f.delta,
        "lo": f.low,
        "hi": f.high,
        "minimum_detectable": f.minimum_detectable,
    }


def _components(runs: list[Entry]) -> dict[str, dict[str, float]]:
    """Mean amounts of the base by component."""
    base = [e.components for e in runs if e.slot.cell == "base"]
    return {
        str(c): {
            str(r): sum(x.get(c, {}).get(r, 0.0) for x in base) / len(base)
            for r in Resource
            if any(r in x.get(c, {}) for x in base)
        }
        for c in Component
    }


def _extremes(values: list[float]) -> dict[str, float]:
    return {"least": min(values), "most": max(values)}


def _switches(root: Path, name: str) -> tuple[Switch, ...]:
    """What is on in the cell called ``name``."""
    if "/" in name:
        layer, technique = name.split("/", maxsplit=1)
        layers.layer(layer).technique(technique)
        return tuple(testbed_cells.switch(c) for c in testbed.chosen(root, [layers.layer(layer)])[layer] if c.name == technique)
    on = cell_of(name)
    strange = on - set(layers.LAYERS)
    if strange:
        there = ", ".join(["base", *layers.LAYERS])
        raise UnknownNameError(f"no cell '{name}'; a cell is LAYER, LAYER+LAYER or LAYER/TECHNIQUE; there are: {there}")
    chosen = testbed.chosen(root, [layers.layer(x) for x in sorted(on)])
    here = {n: frozenset(c.name for c in some) for n, some in chosen.items()}
    return testbed_cells.of_stack(chosen, here)[cell_name(on)] if on else ()
