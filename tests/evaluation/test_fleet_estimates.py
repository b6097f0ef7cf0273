"""Base and switched deployments side by side."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from deltastack import layers
from deltastack.contracts import DELTA, JOINT
from deltastack.evaluation import fleet_estimates, sensitivity
from deltastack.evaluation.fleet_runner import FleetRunner
from deltastack.model import OperatingPoint, Resource
from tests.fakes import fake_trace

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench() -> FleetRunner:
    """Four minutes of traffic, two draws."""
    return FleetRunner(root=ROOT, requests=fake_trace(600, 2.5), draws=2, canonical=True)


def test_a_layer_s_table_keeps_its_contract(bench: FleetRunner) -> None:
    """Every technique and ``all`` have rows on both bases and for both draws, with one base for all of them."""
    rows, refused, missed = fleet_estimates.delta_rows(bench, layers.layer("idle"))
    table = DELTA.frame(rows)

    assert refused == []
    assert missed == []
    assert set(table["technique"]) == {"encoder_sleep", "replica_sleep", "all"}
    assert set(table["operating_point"]) == {OperatingPoint.AT_TRACE, OperatingPoint.AT_CAPACITY}
    assert set(table["replicate"]) == {0, 1}
    assert table.groupby(["operating_point", "replicate", "component", "resource"])["base"].nunique().max() == 1


def test_the_factorial_repeats_the_single_cells(bench: FleetRunner) -> None:
    """A layer's ``all`` and its cell in the factorial are the same run: equal to the last bit."""
    idle, precision = layers.layer("idle"), layers.layer("instruction_set")
    joint = JOINT.frame(fleet_estimates.joint_rows(bench, [idle, precision])[0])
    alone = DELTA.frame(fleet_estimates.delta_rows(bench, idle)[0])
    keys = ["operating_point", "replicate", "component", "resource"]
    cell = joint[joint["cell"] == "idle"].set_index(keys)["amount"]
    single = alone[alone["technique"] == "all"].set_index(keys)["optimized"]

    assert set(joint["cell"]) == {"base", "idle", "instruction_set", "idle+instruction_set"}
    assert cell.sort_index().equals(single.sort_index())


def test_a_cell_that_serves_late_at_the_trace_is_named() -> None:
    """40 requests/s are too many for the base, and for a replica beside an encoder of its own: both are named, in both draws."""
    rush = FleetRunner(root=ROOT, requests=fake_trace(600, 40.0), draws=2, canonical=True)
    found = fleet_estimates.delta_rows(rush, layers.layer("pipeline"), ["encoder_pool"]).missed

    assert {(m.cell, m.operating_point, m.draws, m.of) for m in found} == {
        (c, OperatingPoint.AT_TRACE, 2, 2) for c in ("base", "encoder_pool")
    }
    assert all(" of requests end within their own goal, wanted 90%; p99 of TTFT " in m.words for m in found)


def test_rows_that_change_carry_the_technique_s_evidence(bench: FleetRunner) -> None:
    """Only rows that a technique changes are weakened by its parameters."""
    found = defaultdict(set)
    for row in fleet_estimates.delta_rows(bench, layers.layer("idle"), ["encoder_sleep"])[0]:
        if row[6] is Resource.TIME_S:
            found[row[7] == row[8]].add(row[9])

    assert {str(e) for e in found[True]} == {"simulated"}
    assert False not in found


def test_a_layer_without_a_rewrite_is_absent_and_not_zero(bench: FleetRunner) -> None:
    """``pruning`` has no row of its own, no cell in the factorial beside ``idle``, and nothing that it hangs on."""
    idle, pruning = layers.layer("idle"), layers.layer("pruning")

    assert fleet_estimates.delta_rows(bench, pruning) == ([], [], [])
    assert DELTA.frame([]).empty
    assert {row[0] for row in fleet_estimates.joint_rows(bench, [idle, pruning])[0]} == {"base", "idle"}
    assert sensitivity.swings(bench, pruning) == []
