"""How many minutes would tell a verdict: by hand, against the interval of that many blocks, in the sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from deltastack import params, statistics
from deltastack.analysis import sample_size
from deltastack.analysis.analysis import compute
from deltastack.analysis.factorial import factorials
from deltastack.analysis.formula_totals import Total, estimate, held, values
from deltastack.analysis.occasions import Circumstances
from deltastack.contracts import USAGE
from deltastack.model import Bench, Component, Resource
from deltastack.outcomes import Formula, Verdict
from deltastack.report import wording
from deltastack.report.text import headline
from deltastack.stack import Stack
from deltastack.statistics import Estimate
from tasks import results as task
from tests.report.synthetic import joint

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis

TWO = {"storage": dict.fromkeys(Component, 0.8), "idle": dict.fromkeys(Component, 0.5)}
NAMES = tuple(TWO)


def results(bench: Bench = Bench.TESTBED, block_s: float | None = None, **planted: Any) -> Analysis:
    """Time of a stack of two layers, 100 s a run of the base; a long budget of 40 minutes."""
    frame = joint(TWO, bench=bench, resource=Resource.TIME_S, **planted)
    return compute(
        stack=Stack(layers=NAMES, tolerance=0.02, confidence=0.95, effort="default"),
        workload={"words": "a", "source": "b", "dropped_rows": 0, "text_only_share": 0.5},
        baseline=USAGE.empty(),
        deltas={},
        joint={bench: frame},
        paces={bench: sample_size.Pace(block_s, 2400.0)},
        measured_at={bench: Circumstances(measured="2026-11-27T10:00:00", loud=())},
    )


def test_minutes_by_hand() -> None:
    """Spread 0.02, 4 blocks; ±2 points take 7: t(6) x 0.02 / √7 = 0.0185; of 100 + 80 + 50 + 40 = 270 s: 31.5 minutes."""
    made = results(samples=4)
    gap = Estimate(0.03, 0.03 - 0.031824, 0.03 + 0.031824)
    f = made.factorials[0].factorial
    block_s = sample_size.block_seconds(made.tables.joint[Bench.TESTBED], f, twin=False)
    found = sample_size.needed(f, gap, 4, 0.02, 0.95, block_s)

    assert found is not None
    assert found.blocks == 7
    assert found.minutes == pytest.approx(7 * 270 / 60)
    assert told(made, gap) == " (about 32 minutes of runs would decide at ±2.0 points; BUDGET=long has 40)"
    far = Estimate(0.3, 0.3 - 0.4, 0.3 + 0.4)
    assert ", about 27 minutes of runs that it fails at this gap; BUDGET=long has 40" in told(made, far)


def told(made: Analysis, gap: Estimate) -> str:
    """What the sentence says of an undecided product with this gap."""
    a = made.factorials[0]
    f, units = a.factorial, None if a.factorial.drawn else 4
    product = Total(Formula.INDEPENDENT, gap, gap, Verdict.UNDECIDED, None, units)
    seconds = None if f.drawn else sample_size.block_seconds(made.tables.joint[f.bench], f, twin=False)
    found = sample_size.outlook(f, product, tolerance=0.02, confidence=0.95, block_s=seconds, long_budget_s=2400.0)
    return headline.decided_by(made, replace(a, outlook=found), product)


@pytest.mark.parametrize(("half_width", "blocks", "wanted"), [(0.03, 4, 0.02), (0.5, 4, 0.01), (0.1, 12, 0.09), (0.02, 30, 0.3)])
def test_so_many_blocks_do_and_one_less_does_not(half_width: float, blocks: int, wanted: float) -> None:
    """The half-width of the t interval over that many values with the same spread is small enough, and only just."""
    found = sample_size.blocks_needed(half_width, blocks, wanted, 0.95)
    assert found is not None

    def half(n: int) -> float:
        some = np.random.default_rng(0).normal(size=n)
        unit = (some - some.mean()) / some.std(ddof=1)
        was = np.random.default_rng(1).normal(size=blocks)
        was = (was - was.mean()) / was.std(ddof=1)
        return float(half_width * statistics.mean_bounds(unit).high / statistics.mean_bounds(was).high)

    assert half(found) <= wanted * (1 + 1e-9)
    assert found == 2 or half(found - 1) > wanted


def test_a_longer_run_does_tell() -> None:
    """Four noisy blocks cannot tell; with the blocks it asks for, drawn from the same noise, the half-width is the tolerance."""
    few = factorials(joint(TWO, bench=Bench.TESTBED, samples=4, sd_log=0.05, seed=2), NAMES)[0][0]
    gap = estimate(few, lambda g: values(g)["independent"] - values(g)["joint"], 0.95)
    assert gap.low is not None
    assert gap.high is not None
    wanted = sample_size.blocks_needed((gap.high - gap.low) / 2, 4, 0.02, 0.95)
    assert wanted is not None
    assert wanted > 4
    many = factorials(joint(TWO, bench=Bench.TESTBED, samples=wanted, sd_log=0.05, seed=3), NAMES)[0][0]
    later = estimate(many, lambda g: values(g)["independent"] - values(g)["joint"], 0.95)
    assert later.low is not None
    assert later.high is not None
    assert (later.high - later.low) / 2 == pytest.approx(0.02, rel=0.75)


def test_the_sentence_says_how_long() -> None:
    """An undecided verdict says what would decide it; of draws of a model another sentence tells; others say nothing."""
    loud = wording(results(Bench.ENGINE, samples=4, sd_log=0.1, seed=4))["headline"][0]
    quiet = wording(results(Bench.ENGINE, samples=4, sd_log=1e-5))["headline"][0]
    alone = wording(results(samples=4, sd_log=1e-5))["headline"][0]

    assert "is undecided (about 536 minutes of runs would decide at ±2.0 points, about 94 minutes of runs that it fails" in loud
    assert loud.endswith("at this gap; BUDGET=long has 40).")
    assert quiet.endswith("the product rule holds.")
    assert alone.endswith("indicative, so the product rule is neither right nor wrong (1 of 3 process starts).")
    assert told(results(Bench.FLEET), Estimate(0.03, 0.0, 0.05)) == ""
    assert told(results(samples=4), Estimate(0.03, None, None)) == ""
    assert sample_size.blocks_needed(1.0, 2, 1e-9, 0.95) is None


def test_each_bench_has_its_own_budget_and_pace(tmp_path: Path) -> None:
    """The testbed's and the engine's stand in their own files; a block whose servers share its time takes what it took."""
    here = Path(__file__).parents[2]
    paces = task._paces(here)

    testbed, engine = (params.read_yaml(here / f"params/{name}.yaml") for name in ("testbed", "engine"))
    assert paces[Bench.TESTBED].long_s == testbed["measuring"]["budgets"]["long"]["joint_s"]
    assert paces[Bench.ENGINE].long_s == engine["budget_s"]["long"]
    assert task._paces(tmp_path) == {}
    (tmp_path / "params").mkdir()
    (tmp_path / "params/engine.yaml").write_text("budget_s: {long: 900}")
    (tmp_path / "data/joint").mkdir(parents=True)
    (tmp_path / "data/joint/engine.json").write_text('{"block_s": 8.5}')
    assert task._paces(tmp_path) == {Bench.ENGINE: sample_size.Pace(8.5, 900.0)}
    shared = results(Bench.ENGINE, 27.0, samples=4, sd_log=0.1, seed=4).factorials[0].outlook
    assert shared is not None
    assert shared.at_tolerance.minutes == shared.at_tolerance.blocks * 27.0 / 60


def test_starts_that_differ_take_whole_starts() -> None:
    """Three starts of two blocks whose gap is common to a start's blocks: 10 starts of t(9) = 2.262, so 20 blocks and no 8.

    The half-width of three starts is 2 points of t(2) = 4.303, so s = 2 √3 / 4.303 = 0.805 points; ±0.6 needs n with
    t(n - 1) 0.805 / √n <= 0.6: of 10 starts 0.576, of 9 starts 0.619.
    """
    made = results(samples=6, starts=3)
    f = made.factorials[0].factorial
    loud = np.ones(f.amounts.shape)
    loud[f.full] = np.array([0.8, 1.0, 1.2])[list(f.starts)]
    gap = Estimate(0.03, 0.01, 0.05)

    loud_f = replace(f, amounts=f.amounts * loud)
    units = held(loud_f, tolerance=0.02, confidence=0.95).totals[Formula.INDEPENDENT].units
    assert units == 3
    block_s = sample_size.block_seconds(made.tables.joint[Bench.TESTBED], f, twin=False)
    found = sample_size.needed(loud_f, gap, units, 0.006, 0.95, block_s)
    assert found is not None
    assert found.blocks == 20
    assert found.minutes == pytest.approx(20 * 270 / 60)
