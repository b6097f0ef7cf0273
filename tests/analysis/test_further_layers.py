"""A layer that one bench alone observes: absent from the other, not zero there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.analysis.analysis import Analysis, compute
from deltastack.contracts import DELTA, USAGE
from deltastack.model import Bench, Component, Evidence, Resource
from deltastack.report import metrics, summary_lines, wording
from deltastack.report.figures import figures
from deltastack.report.html.page import html
from deltastack.stack import Stack
from tests.report.synthetic import BASE, WHOLE, joint

if TYPE_CHECKING:
    import pandas as pd

TWO = {"storage": WHOLE, "idle": {Component.ENCODER: 0.5}}
THREE = {**TWO, "pruning": {Component.FFN: 0.5}}


def results(fleet: pd.DataFrame) -> Analysis:
    """Two benches; the testbed has one layer more, which has an empty table on the fleet."""
    rows = [
        ("fleet", "at_trace", 0, c, Resource.ENERGY_J, v, Evidence.SIMULATED, None, "simulation", True) for c, v in BASE.items()
    ]
    facts = {"words": "3 requests over 6.2 s", "source": "a test", "dropped_rows": 0, "text_only_share": 0.5}
    return compute(
        stack=Stack(layers=tuple(THREE), tolerance=0.02, confidence=0.95, effort="default"),
        workload=facts,
        baseline=USAGE.frame(rows),
        deltas={"pruning/fleet": DELTA.frame([])},
        joint={Bench.FLEET: fleet, Bench.TESTBED: joint(THREE, bench=Bench.TESTBED, resource=Resource.CPU_S, sd_log=0.01)},
    )


def test_each_bench_composes_what_it_observed() -> None:
    """The fleet's factorial has two layers and the testbed's three; metrics, words, page and figures can all be made of both."""
    made = results(joint(TWO, samples=5, sd_log=0.05))
    delta = metrics(made)["layer/pruning/delta"]

    assert {a.factorial.bench: a.factorial.layers for a in made.factorials} == {
        Bench.FLEET: ("storage", "idle"),
        Bench.TESTBED: tuple(THREE),
    }
    assert set(delta) == {"testbed"}
    assert any(line.strip().startswith("pruning") for line in summary_lines(wording(made)))
    assert "<td>pruning</td>" in html(made, {})
    assert figures(made)


def test_a_stack_of_which_the_fleet_observes_nothing() -> None:
    """With a factorial of the base alone the fleet has no total, and the testbed has its own."""
    base = joint(TWO, samples=5)
    made = results(base[base["cell"] == "base"])

    assert {a.factorial.bench for a in made.factorials} == {Bench.TESTBED}
    assert html(made, {})
