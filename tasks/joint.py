"""Stage ``joint``: every set of layers run together, as data/joint/NAME.parquet; a NAME is a scene of the fleet, or a bench."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from deltastack import layers
from deltastack.contracts import JOINT, QUALITY
from deltastack.errors import UnknownNameError
from deltastack.evaluation import fleet_estimates, published_quality, testbed_cells
from deltastack.model import Bench
from tasks import fleet, stage_runner, testbed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = logging.getLogger("deltastack.tasks")


def run(root: Path, name: str) -> None:
    """Write one factorial.

    Raises:
        UnknownNameError: No such factorial.
    """
    path = root / "data" / "joint" / f"{name}.parquet"
    benches = fleet.stack(root).factorials
    if name not in benches:
        raise UnknownNameError(f"no factorial '{name}' in params/stack.yaml; there are: {', '.join(benches)}")
    RUNS[benches[name].bench](root, name, path)


def _fleet(root: Path, name: str, path: Path) -> None:
    """Simulate every set of layers in a scene; goes on where it was cut."""
    stack, at = fleet.stack(root), fleet.fleet_runner(root, name, "joint")
    found = fleet_estimates.joint_rows(at, [layers.layer(n) for n in stack.layers], stack.cells)
    JOINT.write(JOINT.frame(found.rows), path)
    bad = {(one.layer, one.technique) for one in found.refused}
    on = {n: [t for t in at.chosen(layers.layer(n)) if t.on and t.on_fleet and (n, t.name) not in bad] for n in stack.layers}
    quality = published_quality.cell_rows(on, dict.fromkeys(str(row[0]) for row in found.rows), canonical=at.canonical)
    QUALITY.write(QUALITY.frame([(*row, name) for row in quality]), _quality(root, name))
    fleet.tell(path.with_suffix(".json"), {"layers": list(stack.layers)}, found.refused, found.missed)


def _testbed(root: Path, name: str, path: Path) -> None:
    """Measure every set of layers that has something to switch on here; goes on where it was cut."""
    testbed.one_thread()
    from deltastack.experiment import contention, occasion, tables
    from deltastack.testbed import settings
    from deltastack.testbed.measure_cells import measure
    from deltastack.testbed.vlm import models

    stack, p = testbed.stack(root), settings.load(root)
    techniques = testbed.chosen(root, [layers.layer(name) for name in stack.layers])
    engine = models.engine(root, p)
    cells = testbed_cells.of_stack(techniques, testbed.switches(engine, techniques, entered=True), stack.cells)
    at = testbed.setup(root, p, cells)
    with contention.watch() as seen:
        measured = measure(
            engine,
            at,
            replace(testbed.effort(p, stack.effort, joint=True), repeats=p.measuring.repeats.of(cells)),
            log.info,
            cells=("base", *cells),  # with the base's A/A twin
        )
    subject = {c: c for c in cells if c != "base"}
    quality = testbed.quality(engine, at, measured, subject=subject, questions=p.budget(stack.effort).joint_questions)
    QUALITY.write(quality, _quality(root, name))
    JOINT.write(JOINT.frame(tables.joint_rows(measured.entries, host=measured.host, canonical=stack.canonical)), path)
    testbed.tell(
        path.with_suffix(".json"), measured, {"layers": list(stack.layers), **occasion.stamp(measured.ledger.stem, seen)}
    )
    measured.finish()


def _quality(root: Path, name: str) -> Path:
    return root / "data" / "quality" / "joint" / f"{name}.parquet"


class RunFactorial(Protocol):
    """A bench as this stage knows it: every set of layers observed, as the joint table at ``path`` and what is beside it."""

    def __call__(self, root: Path, name: str, path: Path) -> None:
        """Observe and write."""


RUNS: Mapping[Bench, RunFactorial] = {Bench.FLEET: _fleet, Bench.TESTBED: _testbed}
"""Benches whose factorials are stages ``joint@NAME``; an engine writes its own in one stage with its layers."""


if __name__ == "__main__":
    stage_runner.main("joint", run, measured=sys.argv[1:] == [Bench.TESTBED])
