"""How runs look in MLflow: the numbers of the first screen, and a saved view of columns that are there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from flows import mlflow_view, totals

if TYPE_CHECKING:
    from pathlib import Path

HEADLINE = {
    "fleet.energy_j.predicted": 0.5,
    "fleet.energy_j.together": 0.4,
    "fleet.energy_j.gap": 0.1,
    "fleet.energy_j.gap.lo": 0.05,
    "fleet.energy_j.gap.hi": 0.15,
    "engine.cpu_s.together": 0.2,
}
OF_IDLE = ["layer/idle/delta.fleet.energy_j", "layer/idle/delta.fleet.energy_j.hi", "shapley/idle.fleet.energy_j"]
OTHERS = ["layer/idle/delta.fleet.io_byte", "layer/idle/delta.engine.cpu_s", "layer/storage/delta.fleet.energy_j"]


def test_a_run_has_the_numbers_of_the_first_screen_alone() -> None:
    """In their order; a set of results from before there was a headline keeps all of its numbers."""
    content = {"headline": HEADLINE, "metrics": dict.fromkeys(OTHERS, 1.0)}

    assert list(mlflow_view.metrics(content).items()) == list(HEADLINE.items())
    assert mlflow_view.metrics({"metrics": {"a": 1.0}}) == {"a": 1.0}


@given(st.permutations([*OF_IDLE, *OTHERS]))
def test_a_layer_has_its_numbers_in_the_places_that_have_a_gap(names: list[str]) -> None:
    """Its saving alone and its share, with ends: not another resource, not another layer, not a place without a card."""
    content = {"headline": HEADLINE, "metrics": dict.fromkeys(names, 1.0)}

    assert set(mlflow_view.of_layer(content, "idle")) == set(OF_IDLE)
    assert set(mlflow_view.of_layer({"metrics": content["metrics"]}, "storage")) == {"layer/storage/delta.fleet.energy_j"}


def test_the_view_has_what_is_predicted_together_and_the_gap() -> None:
    """In the order of the first screen, without ends, and whether they may be quoted."""
    state = json.loads(json.loads(mlflow_view.view(HEADLINE, 5))["state"])

    assert state["columnOrder"] == [
        "metrics.`fleet.energy_j.predicted`",
        "metrics.`fleet.energy_j.together`",
        "metrics.`fleet.energy_j.gap`",
        "metrics.`engine.cpu_s.together`",
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
