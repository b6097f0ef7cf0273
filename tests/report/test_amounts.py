"""A loss beyond ten times its base is told in amounts and leads no table; a base of nothing has no Δ and a reason."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from deltastack.amounts import extra, losses_first, moved
from deltastack.analysis.analysis import compute
from deltastack.analysis.disabled_techniques import DisabledTechnique
from deltastack.analysis.factorial import NO_BASE
from deltastack.contracts import USAGE
from deltastack.decisions.solve import Goal, solve
from deltastack.model import Bench, Component, OperatingPoint, Resource
from deltastack.report import metrics, summary_lines, wording
from deltastack.report.html import table_rows
from deltastack.report.html.page import html
from deltastack.stack import Stack
from tests.report.synthetic import joint

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis

A = Component.ATTENTION
LITTLE = {"storage": dict.fromkeys(Component, 1000.0), "idle": dict.fromkeys(Component, 1.2), "chiplet": {A: 0.5}}
ENERGY = {"storage": dict.fromkeys(Component, 0.9), "idle": dict.fromkeys(Component, 1.2), "chiplet": {}}


def results(
    little: dict[str, dict[Component, float]] = LITTLE, *, scale: float = 770.0, resource: Resource = Resource.IO_BYTE
) -> Analysis:
    """Energy as ever, and a resource of which the base spends ``scale`` x 100 and storage a thousand times that."""
    bytes_ = joint(little, samples=5, resource=resource)
    bytes_["amount"] = bytes_["amount"].astype(float) * scale
    frame = pd.concat([joint(ENERGY, samples=5), bytes_], ignore_index=True).assign(
        operating_point=str(OperatingPoint.AT_CAPACITY)
    )
    return compute(
        stack=Stack(layers=tuple(little), tolerance=0.02, confidence=0.95, effort="default"),
        workload={"words": "a", "source": "b", "dropped_rows": 0, "text_only_share": 0.5},
        baseline=USAGE.empty(),
        deltas={},
        joint={Bench.FLEET: frame},
    )


def test_amounts_by_hand() -> None:
    """77 kB a request at base; 1000 times that with storage is 77 MB, a Δ of -99,900 % that the data keep."""
    made = results()
    a = next(a for a in made.factorials if a.factorial.resource is Resource.IO_BYTE)
    f, share = a.factorial, next(x.share for x in a.layers if x.share.layer == "storage")

    assert share.alone.value == pytest.approx(-999.0)
    assert metrics(made)["layer/storage/delta"]["fleet"]["io_byte"] == pytest.approx(-999.0)
    assert moved(f, share.alone.value) == "77 kB → 77 MB per request"
    assert extra(f, share.alone.value) == "+76.9 MB"


def test_the_page_prints_no_percentage_beyond_ten_times() -> None:
    """Layers, totals and errors give amounts, also where one layer saves many times the base beside the one that costs it."""
    page = html(results(), {})

    assert "alone 77 kB → 77 MB per request; leave-one-out +" in page
    assert "77 kB → 73.9 MB per request" in page
    assert not [p for p in re.findall(r"[-+]([\d,]+)\.\d %", page) if int(p.replace(",", "")) >= 900]
    assert not [p for p in re.findall(r"([\d,]+)\.\d points", page) if int(p.replace(",", "")) >= 900]


def test_such_a_row_leads_no_table() -> None:
    """A loss of 20 % stands before one of a thousand times, in every table; rows without a number come last."""
    made = results()
    losses = [(r["resource"], r["layer"]) for r in table_rows.shares(made)]

    assert losses[0] in {("energy", "idle"), ("bytes read and written", "idle")}
    assert losses[-1] == ("bytes read and written", "storage")
    assert [t["resource"] for t in table_rows.totals(made)] == ["energy", "bytes read and written"]
    assert sorted([None, -20.0, float("nan"), 0.3, -0.2], key=losses_first)[:3] == [-0.2, 0.3, -20.0]


def test_the_last_lines_tell_amounts() -> None:
    """A headline resource beyond ten times: the sentence and the layer's line have amounts, and its layer does not lead."""
    made = results(resource=Resource.CPU_S, scale=1e-3)
    made = compute(
        stack=made.stack,
        workload=made.workload,
        baseline=made.tables.baseline,
        deltas={},
        joint={Bench.FLEET: made.tables.joint[Bench.FLEET][lambda t: t["resource"] == "cpu_s"].reset_index(drop=True)},
    )
    said = wording(made)
    lines = [x for x in summary_lines(said) if x.startswith("  ")][1:]

    assert "storage + idle + chiplet costs 100 ms → 96 s of CPU time" in said["headline"][0]
    assert lines[0].startswith("  idle")
    assert "1,000 times as much" in lines[-1]
    fetch = DisabledTechnique("fetch", -999.0, None, None)
    assert table_rows.disabled([fetch]) == "fetch would spend 1,000 times as much"


def test_a_base_of_nothing_has_no_delta() -> None:
    """Nothing spent at base: null with its reason in the totals, no row in the tables, nothing crashes, energy is as ever."""
    made = results(scale=0.0)
    gone = made.total[made.total["resource"] == "io_byte"]

    assert gone["delta"].isna().all()
    assert set(gone["reason"]) == {NO_BASE}
    assert [a.reason for a in made.missing] == [NO_BASE]
    assert {r["resource"] for r in table_rows.totals(made)} == {"energy"}
    assert NO_BASE in html(made, {})
    assert "nothing to save (bytes read and written)" in html(made, {})
    assert wording(made)["headline"][0].startswith(
        "storage + idle + chiplet costs 8.0 % (range of 5 draws: 8.0 to 8.0) of energy"
    )
    answer = solve(made, Goal(targets={Resource.ENERGY_J: 0.05}, limits={}), Bench.FLEET, OperatingPoint.AT_CAPACITY)
    assert answer.cell is not None
