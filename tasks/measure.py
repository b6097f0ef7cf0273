"""Stage ``measure``: one layer on the testbed, each technique alone and all together, as data/delta/measured/LAYER.parquet.

Beside it LAYER.json (how the experiment went), and data/quality/measured/LAYER.parquet (what each does to the answers).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from deltastack import layers
from deltastack.contracts import DELTA, QUALITY
from deltastack.evaluation import testbed_cells
from tasks import stage_runner, testbed

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("deltastack.tasks")


def run(root: Path, layer: str) -> None:
    """Write the Δ table of ``layer``, as measured here."""
    testbed.one_thread()
    from deltastack.experiment import tables
    from deltastack.testbed import settings
    from deltastack.testbed.measure_cells import measure
    from deltastack.testbed.vlm import models

    stack, p = testbed.stack(root), settings.load(root)
    techniques = testbed.chosen(root, [layers.layer(layer)])
    engine = models.engine(root, p)
    here = testbed.switches(engine, techniques, entered=False)
    cells = testbed_cells.of_layer(techniques[layer], here[layer])
    at = testbed.setup(root, p, cells)
    measured = measure(engine, at, testbed.effort(p, stack.effort, joint=False), log.info)
    against = testbed_cells.against(techniques[layer], cells)
    beside = testbed_cells.beside(techniques[layer], engine, tables.session_s(measured.entries))
    rows = tables.delta_rows(measured.entries, layer, host=measured.host, canonical=stack.canonical, against=against)
    rows += tables.beside_rows(layer, beside, host=measured.host, canonical=stack.canonical)
    folder = root / "data" / "delta" / "measured"
    subject = {c: f"{layer}/{c}" for c in cells if c != "base" and not c.startswith(testbed_cells.OTHER)}
    path = root / "data" / "quality" / "measured" / f"{layer}.parquet"
    QUALITY.write(testbed.quality(engine, at, measured, subject=subject, questions=p.budget(stack.effort).layer_questions), path)
    DELTA.write(DELTA.frame(rows), folder / f"{layer}.parquet")
    testbed.tell(folder / f"{layer}.json", measured, {"layer": layer})
    measured.finish()


if __name__ == "__main__":
    stage_runner.main("measure", run, measured=True)
