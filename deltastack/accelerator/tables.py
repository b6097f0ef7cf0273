"""Runs of the accelerator bench as rows of the contracts, and as the parts of a bundle."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltastack import home, machine_fingerprint
from deltastack.accelerator import boards, cold, idle, switches
from deltastack.accelerator.runner import COMPONENTS
from deltastack.contracts import COUNTER, DELTA, JOINT, Contract
from deltastack.experiment import tables
from deltastack.experiment.meter import Quantity
from deltastack.experiment.plan import Kind, plain
from deltastack.experiment.tables import Amount, Source
from deltastack.model import MECHANISM, Bench, Component, Evidence, OperatingPoint, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from deltastack.accelerator.bench import Measured, Setup
    from deltastack.experiment.ledger import Entry
    from deltastack.experiment.tables import Key, Row

_BASE = "base"


def amounts(entry: Entry) -> dict[Key, Amount]:
    """What one run spent; joules that could not be read are one null with its reason."""
    wall = entry.readings[Quantity.WALL_S]
    if wall.value is None:
        return {(c, r): Amount(None, wall.reason) for c in COMPONENTS.values() for r in (Resource.TIME_S, Resource.ENERGY_J)}
    found = {(Component(c), Resource(r)): Amount(x) for c, values in entry.components.items() for r, x in values.items()}
    joules = entry.readings[Quantity.ENERGY_J]
    if joules.value is None:
        found[Component.OTHER, Resource.ENERGY_J] = Amount(None, joules.reason)
    return found


SOURCE = Source(Bench.ACCELERATOR, amounts)


def joint(measured: Measured, *, canonical: bool) -> pd.DataFrame:
    """The factorial with the base's twin and each mechanism alone (contract JOINT)."""
    alone = ("/", "@cold")  # techniques and cold starts are no sets of layers
    mine = [e for e in measured.entries if e.slot.cell.startswith(MECHANISM) or not any(x in e.slot.cell for x in alone)]
    return JOINT.frame(tables.joint_rows(mine, host=measured.host, canonical=canonical, source=SOURCE))


def deltas(measured: Measured, *, canonical: bool) -> dict[str, pd.DataFrame]:
    """By layer: ``all``, and each technique alone, against the base of its block (DELTA); mechanisms as a layer more."""
    stands = {t.layer: name for name, t in switches.TECHNIQUES.items() if t.on}
    found = {}
    for layer in (*switches.LAYERS, MECHANISM.rstrip("/")):
        mine = [e for e in measured.entries if _of(layer, e.slot.cell)]
        against = switches.against(layer) | (cold.AGAINST if layer == "storage" else {})
        source = SOURCE._replace(against=against)
        rows: list[Row] = _idle_rows(measured, canonical=canonical) if layer == "idle" else []
        if all(plain(e.slot.cell) == _BASE for e in mine) and not rows:
            continue
        for row in tables.paired_rows(source, mine, layer, host=measured.host, canonical=canonical):
            cell = str(row[1])
            names = ["all", stands[layer]] if cell == layer else [cell.removeprefix(f"{layer}/")]
            rows += [(row[0], name, *row[2:]) for name in names]
        found[layer] = DELTA.frame(rows)
    return found


def _of(layer: str, cell: str) -> bool:
    """Whether a cell is held against the base or a control in a layer's table."""
    return plain(cell) in {_BASE, layer} or cell.startswith(f"{layer}/") or (layer == "storage" and cell in cold.CELLS)


def _idle_rows(measured: Measured, *, canonical: bool) -> list[Row]:
    """Joules of one idle second with the weights held, and with them given back or the context ended."""
    watts = measured.idle.watts
    rows: list[Row] = []
    for state in (idle.BACK, idle.ENDED):
        for number, (held, now) in enumerate(zip(watts.get(idle.HELD, ()), watts.get(state, ()), strict=False)):
            head = ("idle", f"{state}@{idle.HELD}", Bench.ACCELERATOR, OperatingPoint.PER_SESSION, number)
            tail = (Evidence.MEASURED, None, measured.host, canonical)
            rows.append((*head, Component.IDLE, Resource.ENERGY_J, held, now, *tail))
    return rows


def counters(measured: Measured, *, canonical: bool) -> pd.DataFrame:
    """Every figure of every run (contract COUNTER)."""
    rows: list[Row] = []
    for e in (e for e in measured.entries if e.slot.kind is Kind.RUN):
        place = (e.slot.block, e.slot.position, e.slot.start)
        head = (tables.called(e.slot.cell), Bench.ACCELERATOR, OperatingPoint.PER_SESSION, *place)
        figures = dict(e.quality)
        memory = e.readings.get(Quantity.MEMORY_PEAK_BYTE)
        peak = None if memory is None else memory.value
        figures |= {} if peak is None else {"memory_peak_byte": peak}
        rows += [(*head, name, x, Evidence.MEASURED, measured.host, canonical) for name, x in figures.items()]
    still = {f"{state}_{n}_w": x for state, found in measured.idle.watts.items() for n, x in enumerate(found)}
    still |= {f"wake_{name}": x for name, x in measured.idle.wake_s.items()}
    head = ("idle/context_ended", Bench.ACCELERATOR, OperatingPoint.PER_SESSION, 0, 0, 0)
    rows += [(*head, name, x, Evidence.MEASURED, measured.host, canonical) for name, x in still.items()]
    return COUNTER.frame(rows)


def head(measured: Measured, setup: Setup, layers: Iterable[str]) -> dict[str, Any]:
    """The manifest's fields of a bundle of this measurement."""
    return {
        "bench": Bench.ACCELERATOR,
        "host": measured.host,
        "device": measured.device,
        "recorded_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "versions": {"deltastack": home.version()}
        | machine_fingerprint.describe(measured.device)
        | {"shape": setup.shape, "load": setup.load.model_dump_json()},
        "layers": list(layers),
        "mechanisms": {m: switches.sharing(m) for m in switches.MECHANISMS},
        "loud": measured.loud,
    }


def fair(measured: Measured, setup: Setup) -> list[str]:
    """How fair the base is, in words."""
    runs = [dict(e.quality) for e in measured.entries if plain(e.slot.cell) == _BASE and e.quality]
    return boards.words(runs, setup.shape, setup.load, measured.device)


def parts(measured: Measured, setup: Setup, *, canonical: bool) -> dict[str, bytes]:
    """Tables and settings of a bundle."""
    found = {
        "joint": (JOINT, joint(measured, canonical=canonical)),
        "counter": (COUNTER, counters(measured, canonical=canonical)),
    }
    found |= {f"delta/{layer}": (DELTA, t) for layer, t in deltas(measured, canonical=canonical).items()}
    settings = f"shape: {setup.shape}\ndevice: {setup.device}\nseed: {setup.seed}\nload: {setup.load.model_dump_json()}\n"
    settings += "".join(f"base: {line!r}\n" for line in fair(measured, setup))
    settings += f"idle: {measured.idle.reason or 'read'!r}\nfailed: {json.dumps(measured.failed)}\n"
    settings += f"neighbours: {measured.neighbours!r}\nstopped: {measured.stopped}\n"
    return {f"tables/{name}.parquet": _bytes(*table) for name, table in found.items()} | {
        "params/accelerator.yaml": settings.encode()
    }


def _bytes(contract: Contract, frame: pd.DataFrame) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        contract.write(frame, path)
        return path.read_bytes()
