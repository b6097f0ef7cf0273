"""What a factorial will cost: by hand, and what is not known is null with a reason."""

from __future__ import annotations

import json
import math
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from deltastack import statistics
from deltastack.cli.main import main
from deltastack.decisions import plan
from deltastack.decisions.pairwise_plan import pairwise_plan
from deltastack.errors import ParamsError
from deltastack.testbed.settings import Repeats
from tasks import plan as known
from tests.report.project import ROOT, finished

if TYPE_CHECKING:
    from pathlib import Path


ONCE = Repeats(base=1, alone=1, together=1)
TWO_S = plan.Pace(run_s=2.0, source="x")


def test_by_hand() -> None:
    """32 cells x 5 draws at 0.3 s are 0.8 minutes; 660 s over 32 cells and the twin of 2 s are 10 blocks, so 10 pairs."""
    fleet = plan.fleet(cells=32, draws=5, pace=plan.Pace(run_s=0.3, source="x"))
    assert fleet.minutes == pytest.approx(0.8)
    assert fleet.alone is None

    found = plan.testbed(layers="abcde", repeats=ONCE, mechanisms=(), budget_s=660, pace=TWO_S, sd_log=0.1)
    assert found.samples == 10
    assert found.alone == pytest.approx(statistics.minimum_detectable_delta(0.1, 10))
    assert found.averaged == pytest.approx(statistics.minimum_detectable_delta(0.1 / 4, 10))
    assert found.interaction == pytest.approx(statistics.minimum_detectable_delta(0.1 / 2, 10))


def test_repeats_cost_runs_and_show_less() -> None:
    """42 runs a block of 2 s, the twin too: 840 s are 10 blocks; 4 bases and 2 singles have 3/8 of the variance of two runs."""
    found = plan.testbed(
        layers="abcde",
        repeats=Repeats(base=4, alone=2, together=2),
        mechanisms=(),
        budget_s=840,
        pace=TWO_S,
        sd_log=0.1,
    )
    assert found.samples == 10
    assert found.alone == pytest.approx(statistics.minimum_detectable_delta(0.1 * math.sqrt(3 / 8), 10))


def test_mechanisms_cost_a_run_a_block_each() -> None:
    """32 cells, the twin and two mechanisms of 2 s: 35 runs a block, 700 s are 10 blocks of 34 cells."""
    found = plan.testbed(layers="abcde", repeats=ONCE, mechanisms=("split", "packing"), budget_s=700, pace=TWO_S, sd_log=0.1)

    assert (found.samples, found.cells) == (10, 34)


def test_the_checkout_says_what_a_product_counts_twice() -> None:
    """On the testbed chiplet and pipeline share the micro-batches; on the fleet both are off."""
    fleet, testbed = known.forecasts(ROOT)
    words = "the mechanism micro_batches is shared by chiplet and pipeline: a product of their savings counts it twice"

    assert testbed.reasons[0] == words
    assert words not in fleet.reasons
    assert testbed.cells == 34


def test_what_is_not_known_is_null_with_its_reason() -> None:
    """No pace, no noise, too little time: each says so; nothing is guessed."""
    found = plan.testbed(layers="abcde", repeats=ONCE, mechanisms=(), budget_s=660, pace=None, sd_log=None)
    assert (found.samples, found.alone) == (None, None)
    assert found.reasons == (f"blocks: {plan.UNKNOWN_PACE}", f"least Δ: {plan.UNKNOWN_NOISE}")

    short = plan.testbed(layers="abcde", repeats=ONCE, mechanisms=(), budget_s=66, pace=TWO_S, sd_log=0.1)
    assert (short.samples, short.alone) == (1, None)
    assert plan.TOO_FEW in short.reasons


def test_more_blocks_see_less() -> None:
    """Twice the budget sees a smaller Δ; the averaged effect is always seen before the one alone."""
    pace = plan.Pace(run_s=1.0, source="x")
    least = [plan.testbed(layers="abc", repeats=ONCE, mechanisms=(), budget_s=b, pace=pace, sd_log=0.05) for b in (45, 90, 180)]

    assert least[0].alone > least[1].alone > least[2].alone  # type: ignore[operator]
    assert all(f.averaged < f.alone for f in least)  # type: ignore[operator]
    assert least[0].averaged == pytest.approx(statistics.minimum_detectable_delta(0.05 / math.sqrt(4), 5))


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In a checkout with a simulated factorial and no measurement: cells of both benches, one JSON value."""
    root = finished(tmp_path / "here")
    shutil.copy(ROOT / "params/testbed.yaml", root / "params/testbed.yaml")
    (root / ".run/receipts").mkdir(parents=True)
    (root / ".run/receipts/joint@assistant.json").write_text('{"seconds": 6.4}')
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["deltastack", "plan", "--json"])
    with pytest.raises(SystemExit) as stop:
        main()

    assert not stop.value.code
    fleet, testbed = json.loads(capsys.readouterr().out)
    assert (fleet["cells"], fleet["samples"], fleet["minutes"]) == (4, 8, pytest.approx(6.4 / 60))
    assert (testbed["cells"], testbed["alone"]) == (4, None)


def test_the_pairwise_plan_by_hand() -> None:
    """Of four layers: 1 + 4 + 6 cells and the full one as a check, 12 of 16, a row each; two layers are refused."""
    found = pairwise_plan(("a", "b", "c", "d"))

    assert (len(found.cells), found.all_cells) == (12, 16)
    assert found.cells[0] == ()
    assert found.cells[-1] == ("a", "b", "c", "d")
    assert found.csv().splitlines()[:3] == ["a,b,c,d,repeat,metric", "0,0,0,0,1,", "1,0,0,0,1,"]
    assert found.words.startswith("pairwise plan: 12 of 16 cells: the base, 4 alone, 6 pairs")
    for layers in (("a", "b"), ("a", "b", "b")):
        with pytest.raises(ParamsError, match="wanted 3 or more different ones"):
            pairwise_plan(layers)
