"""How runs look in MLflow: joint totals first, nothing lost, a saved view of columns that are there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from flows import mlflow_view, totals

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [
    "layer/idle/delta.fleet.energy_j",
    "gap.testbed.cpu_s.independent",
    "gap.fleet.energy_j.independent.lo",
    "gap.fleet.energy_j.independent",
    "delta_total.fleet_at_trace.energy_j.joint",
    "delta_total.fleet.memory_byte_s.joint",
    "delta_total.fleet.energy_j.independent",
    "delta_total.testbed.cpu_s.joint",
    "delta_total.fleet.energy_j.joint.hi",
    "delta_total.fleet.energy_j.joint",
]


@given(st.permutations(NAMES))
def test_the_joint_totals_come_first_and_nothing_is_lost(names: list[str]) -> None:
    """In whatever order they were counted: energy of the fleet at capacity leads, intervals end, every value is kept."""
    metrics = {n: float(i) for i, n in enumerate(names)}
    found = mlflow_view.ordered(metrics)

    assert found == metrics
    assert list(found)[:4] == [
        "delta_total.fleet.energy_j.joint",
        "delta_total.testbed.cpu_s.joint",
        "delta_total.fleet.memory_byte_s.joint",
        "delta_total.fleet_at_trace.energy_j.joint",
    ]
    assert {n.rpartition(".")[2] for n in list(found)[-2:]} == {"lo", "hi"}


def test_the_view_has_the_headline_totals_and_their_gaps() -> None:
    """Of the names above: two joint totals of headline resources, the gap of each, and whether they may be quoted."""
    state = json.loads(json.loads(mlflow_view.view(NAMES, 5))["state"])

    assert state["columnOrder"] == [
        "metrics.`delta_total.fleet.energy_j.joint`",
        "metrics.`delta_total.testbed.cpu_s.joint`",
        "metrics.`gap.fleet.energy_j.independent`",
        "metrics.`gap.testbed.cpu_s.independent`",
    ]
    assert "tags.`canonical`" in state["selectedColumns"]
    assert set(state["columnWidths"]) == set(state["columnOrder"])


def test_the_table_reads_the_headline_first(tmp_path: Path) -> None:
    """Fleet at capacity before its trace, energy before memory; a total without a number is not known, never 0."""
    joint = {"joint": 0.5, "joint.lo": 0.4, "joint.hi": 0.6}
    tree = {
        "delta_total": {"fleet_at_trace": {"energy_j": {"joint": -20.0}}, "fleet": {"memory_byte_s": {}, "energy_j": joint}},
        "gap": {"fleet": {"energy_j": {"independent": 0.031}}},
    }
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/metrics.json").write_text(json.dumps(tree))

    assert mlflow_view.table(tmp_path) == (
        "total,joint saving,interval,gap of independent in points\n"
        'capacity: energy,50.0 %,"40.0 %, 60.0 %",+3.1\n'
        "capacity: memory over time,not known,,not known\n"
        "trace: energy,21.0x used,,–\n"
    )
    assert mlflow_view.table(tmp_path / "nothing") is None
    assert totals.table({}) == []
