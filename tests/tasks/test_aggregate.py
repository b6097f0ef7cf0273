"""What the report learns from the parameter files beside the tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from deltastack.contracts import JOINT
from deltastack.errors import UnknownNameError
from deltastack.experiment.exact_work import ExactWork
from deltastack.experiment.starts import Start, Starts
from deltastack.model import Bench, Resource
from flows import summary
from tasks import aggregate, outbox, results
from tests.report.project import LAYERS, finished
from tests.report.synthetic import joint

if TYPE_CHECKING:
    from pathlib import Path


def test_only_techniques_that_are_on_and_were_observed_count_as_on(tmp_path: Path) -> None:
    """Of two that are on one was never simulated; then the other is off. A layer without a file is left out."""
    root = finished(tmp_path / "here")
    seen = str(results.load(root).tables.deltas["storage/fleet"]["technique"].iloc[0])
    (root / "params/layers").mkdir()
    file = root / "params/layers/storage.yaml"
    file.write_text(f"techniques: {{{seen}: {{on: true}}, unseen: {{on: true}}}}")

    assert results.load(root).enabled_techniques == {"storage": {Bench.FLEET: (seen,)}}
    file.write_text(f"techniques: {{{seen}: {{on: false}}}}")
    assert results.load(root).enabled_techniques == {"storage": {Bench.FLEET: ()}}


def test_exact_work_comes_first_and_starts_stand_apart(tmp_path: Path) -> None:
    """What stands beside a measured table is a terminal's first line and a table on the page; without it there is neither."""
    root = finished(tmp_path / "here", tolerance=0.02)
    planted = joint({"storage": LAYERS["storage"]}, bench=Bench.ENGINE, resource=Resource.CPU_S, sd_log=0.01)
    JOINT.write(planted, root / "data/joint/engine.parquet")
    aggregate.run(root)
    assert not any(line.startswith(("exact work", "a start")) for line in summary.sentences(root))
    assert 'id="exact-engine"' not in (root / "reports/report.html").read_text()

    work = ExactWork(cells={"base": {"weights_read_byte": 400}, "storage": {"weights_read_byte": 100}})
    apart = Starts(serves=1000, cells={"base": Start(0.2, 0.01), "storage": Start(0.3, 0.008)})
    told = {"layers": ["storage"], "exact": work.plain(), "loading": apart.plain()}
    (root / "data/joint/engine.json").write_text(json.dumps(told))
    aggregate.run(root)

    lines = summary.sentences(root)
    assert lines[0].startswith(f"exact work, engine (card {work.digest}, the same in every run): bytes of weights read storage")
    assert any(line.startswith("a start, engine: 0.200 s") and line.endswith("storage after 50 requests") for line in lines)
    page = (root / "reports/report.html").read_text()
    assert 'id="exact-engine"' in page
    assert page.index('id="exact-engine"') < page.index('id="layers"')
    assert "storage after 50 requests" in page


def test_a_misspelt_layer_is_named_with_those_there_are(tmp_path: Path) -> None:
    """Before anything is said of tables that seem to lack it."""
    root = finished(tmp_path / "here")
    stack = root / "params/stack.yaml"
    stack.write_text(stack.read_text().replace("idle", "idel"))

    with pytest.raises(UnknownNameError, match="no layer 'idel'; there are: chiplet, distillation"):
        results.load(root)


@pytest.mark.parametrize("benches", [(Bench.ENGINE,), (Bench.TESTBED,), (Bench.ENGINE, Bench.TESTBED), ()])
def test_the_page_is_made_from_the_measured_benches_that_are_there(tmp_path: Path, benches: tuple[Bench, ...]) -> None:
    """Engine without testbed, testbed without engine, both, none: each that is there has a total, a base and a sentence."""
    root = finished(tmp_path / "here", tolerance=0.02)
    for bench in benches:
        planted = joint({"storage": LAYERS["storage"]}, bench=bench, resource=Resource.CPU_S, sd_log=0.01)
        JOINT.write(planted, root / f"data/joint/{bench}.parquet")

    aggregate.run(root)

    said = outbox.read(root / "reports/summary.json")
    found = results.load(root)
    assert set(found.tables.baseline["bench"]) == {str(b) for b in (Bench.FLEET, *benches)}
    for bench in (Bench.ENGINE, Bench.TESTBED):
        assert any(row["bench"] == bench for row in said["totals"]) == (bench in benches)
    assert (root / "reports/report.html").is_file()


def test_a_layer_without_a_switch_is_told_with_the_reason(tmp_path: Path) -> None:
    """On the card, where the layer's techniques stand, and in the terminal's last lines; other layers of the engine are not."""
    root = finished(tmp_path / "here")
    JOINT.write(joint({"storage": LAYERS["storage"]}, bench=Bench.ENGINE), root / "data/joint/engine.parquet")
    told = {
        "title": "an engine",
        "techniques": {"storage": ["prefix_cache"]},
        "absent": {"idle": "it never sleeps", "routing": "one server"},
    }
    (root / "data/joint/engine.json").write_text(json.dumps(told))
    (root / "params/layers").mkdir()
    (root / "params/layers/idle.yaml").write_text("techniques: {sleep: {on: true}}")

    aggregate.run(root)

    assert "idle: an engine has no switch (it never sleeps); `make run TESTBED=1` brings the row" in summary.sentences(root)
    assert not any("routing" in line for line in summary.sentences(root))
    page = (root / "reports/report.html").read_text()
    assert "no switch (it never sleeps); `make run TESTBED=1` brings the row (engine)" in page
    assert "prefix cache (engine)" in page
