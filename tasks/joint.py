"""Stage ``joint``: every set of layers run together, as data/joint/NAME.parquet; a NAME is a scene of the fleet, or a bench."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from deltastack import layers
from deltastack.composition import counted_again
from deltastack.contracts import JOINT, QUALITY
from deltastack.errors import UnknownNameError
from deltastack.evaluation import fleet_estimates, published_quality, testbed_cells
from deltastack.layers.techniques import sharing
from deltastack.model import MECHANISM, Bench, cell_of
from tasks import fleet, stage_runner, testbed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from deltastack.testbed.bench import Setup

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
    chosen = {n: [t for t in at.chosen(layers.layer(n)) if t.on and t.on_fleet] for n in stack.layers}
    _say_shared(sharing(chosen))
    found = fleet_estimates.joint_rows(at, [layers.layer(n) for n in stack.layers], stack.cells)
    JOINT.write(JOINT.frame(found.rows), path)
    bad = {(one.layer, one.technique) for one in found.refused}
    on = {n: [t for t in some if (n, t.name) not in bad] for n, some in chosen.items()}
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
    able = testbed.switches(engine, techniques, entered=True)
    cells = testbed_cells.of_stack(techniques, able, stack.cells)
    apart = testbed_cells.of_mechanisms(techniques, able)
    uses = sharing({n: [t for t in some if t.on_testbed and t.name in able[n]] for n, some in techniques.items()})
    _say_shared(uses)
    at = testbed.setup(root, p, {**cells, **apart})
    with contention.watch() as seen:
        measured = measure(
            engine,
            at,
            replace(testbed.effort(p, stack.effort, joint=True), repeats=p.measuring.repeats.of(cells)),
            log.info,
            cells=("base", *cells, *apart),  # with the base's A/A twin
        )
    subject = {c: c for c in cells if c != "base"}
    quality = testbed.quality(engine, at, measured, subject=subject, questions=p.budget(stack.effort).joint_questions)
    QUALITY.write(quality, _quality(root, name))
    JOINT.write(JOINT.frame(tables.joint_rows(measured.entries, host=measured.host, canonical=stack.canonical)), path)
    work = _exact_work(at, [c for c in (*cells, *apart) if c not in measured.refused])
    facts = {"layers": list(stack.layers), "mechanisms": uses, "exact": work}
    facts |= testbed.starts_of(measured, p)
    facts |= occasion.stamp(measured.ledger.stem, seen)
    testbed.tell(path.with_suffix(".json"), measured, facts)
    measured.finish()


def _exact_work(at: Setup, cells: Sequence[str]) -> dict[str, Any]:
    """The card of exact work of the base, each layer and mechanism alone, and all layers together; counted, not timed."""
    from deltastack.experiment import exact_work
    from deltastack.testbed.measure_cells import exact

    layers = frozenset().union(*(cell_of(c) for c in cells if not c.startswith(MECHANISM)))
    some = [c for c in cells if c.startswith(MECHANISM) or len(cell_of(c)) <= 1 or cell_of(c) == layers]
    return exact_work.ExactWork(cells={c: w.figures() for c, w in exact(at, some).items()}).plain()


def _say_shared(uses: Mapping[str, tuple[str, ...]]) -> None:
    """Say which mechanisms a product of these layers counts more than once."""
    for name, of in uses.items():
        if (said := counted_again(name, of)) is not None:
            log.warning("%s", said)


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
