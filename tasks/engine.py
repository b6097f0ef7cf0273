"""Stage ``engine``: a serving engine as a bench, what params/engines/NAME.yaml declares measured as one experiment.

``measure`` gives the tables; ``write`` puts them where the stages after it look, or below ``data/engine/NAME`` for an engine of
one's own; ``findings`` says what the runs allow to say. Model files that the bench can write itself are written first.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltastack import params
from deltastack.contracts import COUNTER, DELTA, JOINT, QUALITY, atomic
from deltastack.engine import bench, declaration
from deltastack.engine.bench import Frames, Order
from deltastack.engine.techniques import OWN_LAYERS
from deltastack.errors import ParamsError
from deltastack.experiment import exact_work, starts
from deltastack.model import Params, Resource
from deltastack.stack import Effort, Stack
from tasks import stage_runner

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from deltastack.engine.declaration import Engine

log = logging.getLogger("deltastack.tasks")
FOLDER = "params/engines"
SETTINGS = "params/engine.yaml"
MODELS = ".run/models"
"""Where the bench's own model files lie, which presets name."""


class Default(Params):
    """params/engine.yaml: what the default run measures, and for how long."""

    preset: str
    budget_s: dict[Effort, float]
    block_pairs: dict[Effort, int]


def run(root: Path) -> None:
    """Measure the engine of params/engine.yaml in sets of the stack's layers, as this checkout's own.

    Raises:
        ParamsError: No such declaration, or values that do not hold.
        PreflightError: The engine is not installed.
        StageError: The base cannot be run.
    """
    for noisy in ("httpx", "gguf"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    stack = params.load(root / "params" / "stack.yaml", Stack)
    chosen = params.load(root / SETTINGS, Default)
    engine = _paired(declared(root, chosen.preset), chosen.block_pairs[stack.effort])
    prepare(root, engine, log.info)
    order = Order(chosen=stack.cells, canonical=stack.canonical, layers=stack.layers, budget_s=chosen.budget_s[stack.effort])
    frames = bench.measure(root, engine, order, log.info)  # the stage holds the machine's lock already
    write(frames, root / "data", engine, layers=stack.layers)
    log.info("%s", ended(frames, engine))
    frames.forget()


def _paired(engine: Engine, pairs: int) -> Engine:
    return engine.model_copy(update={"experiment": engine.experiment.model_copy(update={"block_pairs": pairs})})


def ended(frames: Frames, engine: Engine) -> str:
    """How many blocks were run, and why no more."""
    blocks = len({(e.slot.start, e.slot.block) for e in frames.measured.entries})
    return f"{len(frames.measured.entries)} {engine.unit} in {blocks} blocks; ended because {frames.measured.stopped}"


def prepare(root: Path, engine: Engine, say: Callable[[str], None]) -> None:
    """Write the bench's own model files that a declaration names, where they are missing; others are the user's.

    Raises:
        PreflightError: The engine's packages are not installed.
    """
    every = [*engine.files.values(), *(f for t in engine.techniques.values() for s in t.states for f in s.files.values())]
    every += [load.file for load in (engine.load, engine.questions) if load is not None and load.file is not None]
    mine = {Path(f).name for f in every if Path(f).parent == Path(MODELS)}
    if not mine:
        return
    from deltastack.engine.llamacpp import models

    written = models.prepare(root / MODELS, only=mine).written
    if written:
        say(f"model files written in {MODELS}: {', '.join(written)}")


def declared(root: Path, name: str) -> Engine:
    """A declaration by its file, or by its name in params/engines.

    Raises:
        ParamsError: No such file or preset, or a technique of a layer that nobody has.
    """
    from deltastack.layers import LAYERS

    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        path = root / FOLDER / f"{name}.yaml"
        if not path.is_file():
            there = ", ".join(sorted(p.stem for p in (root / FOLDER).glob("*.yaml"))) or "none"
            raise ParamsError(f"no engine '{name}' in {FOLDER}; there are: {there}; or give the path of a YAML file")
    found = declaration.load(path)
    known = (*LAYERS, *OWN_LAYERS)
    if strange := [f"{name}: no layer '{t.layer}'" for name, t in found.techniques.items() if t.layer not in known]:
        raise ParamsError(f"{path.name}: techniques.{'; '.join(strange)}; there are: {', '.join(known)}")
    return found


def trace(root: Path, path: Path) -> pd.DataFrame:
    """The workload in a trace (contract WORKLOAD); its images count as params/workload.yaml says.

    Raises:
        WorkloadError: No such file, no known format, or bad rows.
    """
    from deltastack.workload import readers, settings

    return readers.read(path, settings.load(root).images).frame


def measure(root: Path, engine: Engine, order: Order, say: Callable[[str], None]) -> Frames:
    """Measure ``engine`` under the lock of the machine; goes on where it was cut.

    Raises:
        DeltastackError: As ``bench.measure``.
    """
    prepare(root, engine, say)
    with stage_runner.lock(stage_runner.machine_lock(), "another measurement runs on this machine, waiting", say):
        return bench.measure(root, engine, order, say)


def write(frames: Frames, folder: Path, engine: Engine, *, layers: tuple[str, ...] | None = None) -> None:
    """Write every table below ``folder``, and what has no row beside the joint table.

    Args:
        frames: What was measured.
        folder: The data folder of a checkout, or one of an engine of one's own.
        engine: What was measured.
        layers: Leave out the factorial's cells of other layers; None keeps all.
    """
    joint = frames.joint if layers is None else of_layers(frames.joint, layers)
    JOINT.write(joint, folder / "joint" / "engine.parquet")
    QUALITY.write(frames.quality, folder / "quality" / "joint" / "engine.parquet")
    COUNTER.write(frames.counters, folder / "counter" / "engine.parquet")
    for layer, table in ((n, t) for n, t in frames.deltas.items() if layers is None or n in layers):
        DELTA.write(table, folder / "delta" / "engine" / f"{layer}.parquet")
    with atomic(folder / "joint" / "engine.json") as part:
        part.write_text(json.dumps(facts(frames, engine), indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def of_layers(joint: pd.DataFrame, layers: tuple[str, ...]) -> pd.DataFrame:
    """The rows of a joint table whose cells are sets of ``layers``, the base and its twin among them, or a mechanism alone."""
    from deltastack.model import AA_TWIN, MECHANISM, cell_of

    keep = joint["cell"].map(lambda c: c == AA_TWIN or c.startswith(MECHANISM) or cell_of(c) <= set(layers))
    return joint[keep].reset_index(drop=True)


def facts(frames: Frames, engine: Engine) -> dict[str, Any]:
    """How an experiment went, what is on in each layer, and what has no row, as plain values."""
    measured = frames.measured
    return {
        "title": engine.title,
        "layers": list(frames.layers),
        "techniques": {layer: list(engine.of_layer(layer)) for layer in frames.layers},
        "mechanisms": {m: list(of) for m, of in engine.sharing(frames.layers).items()},
        "absent": {layer: why.reason for layer, why in engine.absent.items()},
        "blocks": len({(e.slot.start, e.slot.block) for e in measured.entries}),
        "block_s": measured.block_s,
        "stopped": str(measured.stopped),
        "runs": len(measured.entries),
        "unit": engine.unit,
        "host": frames.host,
        "left_out": dict(frames.left_out),
        "given_up": dict(measured.given_up),
        "faults": list(measured.faults),
        "notes": {cell: list(notes) for cell, notes in frames.notes.items()},
        **_starts(frames, engine),
        "exact": exact_work.of_counters(frames.counters).plain(),
        **frames.occasion,
    }


def _starts(frames: Frames, engine: Engine) -> dict[str, Any]:
    """What a start takes, apart from serving; empty where it is not charged to a stated number of requests."""
    found = starts.of_entries(frames.measured.entries, engine.experiment.start_serves)
    return {} if found is None else {"loading": found.plain()}


def findings(root: Path, engine: Engine, frames: Frames) -> dict[str, Any]:
    """Everything the runs allow to say, as plain values: every cell alone, formulas against the joint run, the A/A floor."""
    stack = params.load(root / "params" / "stack.yaml", Stack)
    resource = Resource(engine.experiment.quantity)
    return {
        "engine": engine.name,
        "quantity": str(resource),
        **facts(frames, engine),
        **_formulas(engine, frames, stack),
        "cells": _cells(frames, resource),
        "counters": _counters(frames),
        "quality": _quality(frames),
    }


def _formulas(engine: Engine, frames: Frames, stack: Stack) -> dict[str, Any]:
    """Formulas against the joint run at the stack's tolerance and confidence, and the noise floor of the quantity."""
    from deltastack.analysis import noise_floor, occasions
    from deltastack.analysis.factorial import factorials
    from deltastack.analysis.formula_totals import frame, held

    resource = Resource(engine.experiment.quantity)
    apart, floors = noise_floor.split(frames.joint)
    floor = next((f for (_, r), f in floors.items() if r == resource), None)
    told: dict[str, Any] = {"floor": None if floor is None else {"lo": floor.low, "hi": floor.high, "pairs": floor.pairs}}
    if not frames.layers:
        return told | {"formulas": [], "why": "no layer has all its cells, so there is no factorial"}
    found, missing = factorials(apart, frames.layers, mechanisms=engine.sharing(frames.layers))
    at = occasions.circumstances(frames.occasion)
    totals = [(f, held(f, tolerance=stack.tolerance, confidence=stack.confidence, at=at).totals, None) for f in found]
    table = frame(totals, missing)
    mine = table[table["resource"] == str(resource)]
    return told | {"formulas": [_plain(row) for row in mine.to_dict("records")]}


def _cells(frames: Frames, resource: Resource) -> list[dict[str, Any]]:
    """Δ of every cell against the base, with its interval."""
    from deltastack.engine.bench import QUANTITIES
    from deltastack.errors import EvidenceError
    from deltastack.experiment.plan import Kind
    from deltastack.experiment.run_plan import compare
    from deltastack.experiment.tables import called

    entries = frames.measured.entries
    found: list[dict[str, Any]] = []
    for cell in dict.fromkeys(e.slot.cell for e in entries if e.slot.kind is Kind.RUN and e.slot.cell != "base"):
        name = called(cell)
        try:
            n = compare(entries, cell, "base", QUANTITIES[str(resource)])
        except EvidenceError as error:
            found.append({"cell": name, "delta": None, "lo": None, "hi": None, "pairs": 0, "why": str(error)})
            continue
        found.append({"cell": name, "delta": n.delta, "lo": n.low, "hi": n.high, "pairs": n.pairs, "why": None})
    return found


def _counters(frames: Frames) -> dict[str, dict[str, float]]:
    """Mean of every counter, by cell."""
    told: dict[str, dict[str, float]] = {}
    for cell, rows in frames.counters.groupby("cell", sort=False):
        means = rows.groupby("counter", sort=False)["amount"].mean()
        told[str(cell)] = {str(counter): float(value) for counter, value in means.items()}
    return told


def _quality(frames: Frames) -> list[dict[str, Any]]:
    return [_plain(row) for row in frames.quality.to_dict("records")]


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    import pandas as pd

    return {str(k): None if pd.isna(v) else v for k, v in row.items()}


if __name__ == "__main__":
    stage_runner.main("engine", run, measured=True)
