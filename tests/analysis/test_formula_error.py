"""Errors over cells, planned halves, factors that do nothing, ceilings, a fleet's year, curves: by hand and by slow twins."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from deltastack import composition, statistics
from deltastack.analysis import annual_fleet_cost, attribution, history, negative_controls
from deltastack.analysis.amdahl import ceilings
from deltastack.analysis.analysis import compute
from deltastack.analysis.factorial import Factorial, factorials
from deltastack.analysis.formula_totals import NOT_RUN, ErrorOverCells, held, several, values
from deltastack.analysis.history import PastRun
from deltastack.contracts import USAGE
from deltastack.errors import EvidenceError, ParamsError
from deltastack.model import Bench, Component, OperatingPoint, Resource, cell_of
from deltastack.outcomes import Formula, Verdict
from deltastack.stack import Stack
from tests.report.synthetic import WHOLE, joint

A, F = Component.ATTENTION, Component.FFN
NAMES = ("storage", "chiplet", "pipeline", "instruction_set", "idle")
FIVE = {n: dict.fromkeys(Component, x) for n, x in zip(NAMES, (0.9, 0.8, 1.1, 0.6, 0.95), strict=True)}
BETA = {("storage", "pipeline"): 0.2, ("chiplet", "idle"): -0.2}


def one(frame: pd.DataFrame, names: tuple[str, ...] = NAMES, cells: str = "all") -> Factorial:
    """The only factorial of a table."""
    return factorials(frame, names, cells)[0][0]


def errors(f: Factorial) -> tuple[ErrorOverCells, ...]:
    """The error of each formula over the cells."""
    return held(f, tolerance=0.02, confidence=0.95).errors


def half(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the cells with 0, 1, 3 or 5 layers on."""
    count = frame["cell"].map(lambda c: len(cell_of(c)))
    return frame[(count == 0) | (count % 2 == 1)].reset_index(drop=True)


def test_errors_by_hand() -> None:
    """Two layers that leave 0.8 and 0.5, together 0.4 e^0.2: one cell, so the error is its gap, 0.4 (e^0.2 - 1)."""
    f = one(joint({"storage": WHOLE, "pipeline": dict.fromkeys(Component, 0.5)}, {("storage", "pipeline"): 0.2}), NAMES)
    found = {e.formula: e for e in errors(f)}

    assert found["independent"].root_mean_square.value == pytest.approx(0.4 * math.expm1(0.2))
    assert "pairwise" not in found
    assert (found["independent"].cells, found["independent"].worst) == (1, ("storage", "pipeline"))
    assert found["independent"].worst_gap.value == pytest.approx(0.4 * math.expm1(0.2))


def test_pairwise_is_judged_on_cells_that_it_predicts() -> None:
    """Pairs are what it is fed with, so of three layers one cell is left: one that leaves e^0.3 more than the pairs say."""
    left = {"storage": WHOLE, "pipeline": dict.fromkeys(Component, 0.5), "idle": dict.fromkeys(Component, 0.5)}
    planted = joint(left)
    planted.loc[planted["cell"].map(lambda c: len(cell_of(c)) == 3), "amount"] *= math.exp(0.3)
    f = one(planted, tuple(left))
    found = {e.formula: e for e in errors(f)}
    of_pairs = [c for c in held(f, tolerance=0.02, confidence=0.95).cells if c.formula == "pairwise"]

    assert (found["independent"].cells, found["pairwise"].cells) == (4, 1)
    assert found["pairwise"].root_mean_square.value == pytest.approx(0.2 * math.expm1(0.3))
    assert [len(c.layers) for c in of_pairs] == [3]


def test_of_two_layers_pairwise_has_no_verdict() -> None:
    """The pair is the joint run: a gap of zero that could not be anything else."""
    f = one(joint({"storage": WHOLE, "pipeline": dict.fromkeys(Component, 0.5)}, {("storage", "pipeline"): 0.2}), NAMES)
    total = held(f, tolerance=0.02, confidence=0.95).totals[Formula.PAIRWISE]

    assert (total.verdict, total.reason) == (Verdict.UNDECIDED, composition.PAIR_IS_JOINT)


def test_opposite_interactions_cancel_in_the_total_and_not_in_the_error() -> None:
    """+0.2 and -0.2 in log: the product is right for the whole stack and wrong in cells that hold one of the pairs."""
    f = one(joint(FIVE, BETA))
    said = values(f)

    assert said["independent"][0] == pytest.approx(said["joint"][0])
    assert {e.formula: e for e in errors(f)}["independent"].root_mean_square.value > 0.05


def test_errors_against_a_slow_twin() -> None:
    """The product of every one of the 26 cells, formed by hand from the table."""
    frame = joint(FIVE, BETA, samples=1)
    amount = frame.groupby("cell")["amount"].sum()
    left = {c: amount[c] / amount["base"] for c in amount.index}
    gaps = []
    for size in range(2, 6):
        for on in combinations(NAMES, size):
            product = 1 - math.prod(left[n] for n in on)
            gaps.append(product - (1 - left["+".join(sorted(on))]))

    root = {e.formula: e for e in errors(one(frame))}["independent"].root_mean_square.value
    assert len(gaps) == 26
    assert root == pytest.approx(math.sqrt(sum(g * g for g in gaps) / 26))


def test_a_planned_half_says_what_it_cannot() -> None:
    """Product, sum, by component and joint are those of the whole; pairwise, Shapley, last in and order range are null."""
    frame = joint(FIVE, {("storage", "pipeline"): 0.2}, sd_log=0.1)
    f, whole = one(half(frame), cells="half"), one(frame)
    rows = held(f, tolerance=0.02, confidence=0.95).totals

    for name in ("independent", "weighted", "by_component", "joint"):
        assert rows[name].saving.value == pytest.approx(values(whole)[name][0])
    assert rows["pairwise"].saving is None
    assert rows["pairwise"].reason == NOT_RUN
    share = attribution.shares(f, 0.95)[0]
    assert (share.shapley, share.leave_one_out, share.least) == (None, None, None)
    assert share.main_effect.value == pytest.approx(attribution.shares(whole, 0.95)[0].main_effect.value)  # type: ignore[union-attr]
    first = attribution.pairs(f, 0.95)[0]
    assert (first.first, first.second) == ("storage", "pipeline")
    assert first.interaction.value == pytest.approx(0.2)
    assert len(several(f)) == 11


def test_a_half_that_was_cut_short_is_refused() -> None:
    """A planned cell that is missing is named; a half of three layers is no plan."""
    frame = half(joint(FIVE))
    with pytest.raises(EvidenceError, match=r"1 of 17 cells lack runs, first 'idle'"):
        one(frame[frame.cell != "idle"].reset_index(drop=True), cells="half")
    with pytest.raises(ParamsError, match=r"half is made for 5 layers, there are 6 \(storage, .*\); write cells: all"):
        statistics.planned((*NAMES, "pruning"), "half")
    assert statistics.planned(NAMES[:3], "half") == tuple(range(8))


def test_a_block_that_the_budget_cut_short_is_left_out_whole() -> None:
    """Five measured blocks, the last without one cell: the factorial is that of the first four; draws are never left out."""
    frame = joint(FIVE, bench=Bench.TESTBED, samples=5, sd_log=0.1)
    cut = frame[~((frame.block == 4) & (frame.cell == "idle"))].reset_index(drop=True)

    assert (one(cut).amounts == one(frame).amounts[..., :4]).all()
    drawn = joint(FIVE, samples=5)
    with pytest.raises(EvidenceError, match="1 of 32 cells lack runs, first 'idle'"):
        one(drawn[~((drawn.replicate == 4) & (drawn.cell == "idle"))].reset_index(drop=True))


def test_averaged_and_holm_by_hand() -> None:
    """A planted pair at 2 % noise in 10 blocks: its Holm p is tiny, that of an empty pair is not; averaged effect by hand."""
    f = one(joint(FIVE, {("storage", "pipeline"): 0.2}, bench=Bench.TESTBED, samples=10, sd_log=0.02))
    pairs = {(p.first, p.second): p for p in attribution.pairs(f, 0.95)}

    assert pairs["storage", "pipeline"].p_holm < 1e-6  # type: ignore[operator]
    assert pairs["chiplet", "idle"].p_holm > 0.05  # type: ignore[operator]
    assert all(p.p_holm is None for p in attribution.pairs(one(joint(FIVE)), 0.95))
    exact = attribution.shares(one(joint(FIVE, {("storage", "pipeline"): 0.2})), 0.95)[0]
    assert exact.main_effect.value == pytest.approx(1 - 0.9 * math.exp(0.1))  # type: ignore[union-attr]


def shuffled(frame: pd.DataFrame, rng: np.random.Generator, drift: float = 0.0) -> pd.DataFrame:
    """The runs of every block in random order; the second half of a block costs ``drift`` more in log."""
    place = {}
    for block, rows in frame.groupby("block"):
        for n, cell in enumerate(rng.permutation(rows["cell"].unique())):
            place[block, cell] = n
    position = np.array([place[k] for k in zip(frame["block"], frame["cell"], strict=True)], dtype=np.int64)
    late = position >= frame["cell"].nunique() / 2
    return frame.assign(position=position, amount=frame["amount"] * np.exp(drift * late))


def test_factors_that_do_nothing_cry_wolf_as_often_as_they_should() -> None:
    """40 experiments of 6 tests at 95 %: between 1.5 and 9 % of all intervals claim an effect that is not there."""
    names, rng, tests = ("storage", "idle"), np.random.default_rng(1), []
    for seed in range(40):
        frame = joint({n: FIVE[n] for n in names}, bench=Bench.TESTBED, samples=6, sd_log=0.1, seed=seed)
        frame = shuffled(frame, rng)
        tests += negative_controls.nulls(frame, one(frame, names), 0.95, seed=seed)

    assert len(tests) == 40 * 6
    assert 0.015 <= np.mean([t.false for t in tests]) <= 0.09


def test_the_coins_rate_is_a_rate() -> None:
    """300 coins over 24 independent experiments, order once: the coin claims about one effect in 20; a slow twin agrees."""
    rng, names, found = np.random.default_rng(3), NAMES[:3], []
    for seed in range(24):
        frame = shuffled(joint({n: FIVE[n] for n in names}, bench=Bench.TESTBED, samples=6, sd_log=0.1, seed=seed), rng)
        found.append(negative_controls.rates(frame, one(frame, names), 0.95, draws=300, seed=seed))
    frame = shuffled(joint({n: FIVE[n] for n in names}, bench=Bench.TESTBED, samples=6, sd_log=0.1, seed=0), rng)
    order, coin = negative_controls.rates(frame, one(frame, names), 0.95, draws=1, seed=7)
    single = negative_controls.nulls(frame, one(frame, names), 0.95, seed=7)

    assert all((o.draws, o.tests, c.draws, c.tests) == (1, 4, 300, 1200) for o, c in found)
    assert 0.035 <= np.mean([c.share for _, c in found]) <= 0.065
    assert [order.false, coin.false] == [sum(t.false for t in single if t.factor == n) for n in negative_controls.FACTORS]


def test_a_drift_within_blocks_is_seen() -> None:
    """Late runs that cost 10 % more show as an effect of order, of its true size less the mean: 2 x 0.05 in ± coding."""
    frame = shuffled(joint(FIVE, bench=Bench.TESTBED, samples=12, sd_log=0.02), np.random.default_rng(0), drift=0.1)
    found = negative_controls.nulls(frame, one(frame), 0.95)

    order = next(t for t in found if t.factor == "run_order" and t.layer is None)
    assert order.false
    assert order.effect == pytest.approx(0.05, rel=0.15)
    assert negative_controls.nulls(joint(FIVE), one(joint(FIVE)), 0.95) == []


def test_ceilings_by_hand() -> None:
    """40 + 50 + 10 J: a layer that changes attention and encoder can save at most 50 %."""
    f = one(joint({"storage": {A: 0.5, Component.ENCODER: 0.9}, "idle": {F: 1.2}}), NAMES)
    found = ceilings(f, attribution.shares(f, 0.95))

    assert [c.ceiling for c in found] == pytest.approx([0.5, 0.5])
    assert found[0].touches == ("encoder", "attention")
    assert found[0].saves.value == pytest.approx(0.21)
    assert all(c.saves.value <= c.ceiling for c in found)


def test_a_fleets_year_by_hand() -> None:
    """100 accelerator seconds a request: 10 accelerators serve 3,153,600 a year; 100 J each are 87.6 kWh, a fifth saved."""
    tables = [joint({"idle": WHOLE}, resource=r, samples=3) for r in (Resource.TIME_S, Resource.ENERGY_J)]
    frame = pd.concat(tables, ignore_index=True).assign(operating_point=str(OperatingPoint.AT_CAPACITY))
    stack = Stack(layers=("idle",), tolerance=0.02, confidence=0.95, effort="default")
    made = compute(stack=stack, workload={}, baseline=USAGE.empty(), deltas={}, joint={Bench.FLEET: frame})
    found: dict[str, Any] = {line.words: line for line in annual_fleet_cost.lines(made, 10)}

    assert found["energy"].base == pytest.approx(3_153_600 * 100 / 3.6e9)
    assert found["energy"].saved.value == pytest.approx(0.2 * found["energy"].base)
    assert found["accelerators"].base == pytest.approx(10)


def test_curves_by_hand() -> None:
    """Three runs of 0.1, 0.3, 0.2: the middle one is highest; runs that may not be quoted and single readings stay out."""
    name = "delta_total.fleet.energy_j.joint"
    runs = [
        PastRun(f"2026-11-1{i}T00:00:00", canonical=True, metrics={name: v, "gap.x": 1.0}) for i, v in enumerate((0.1, 0.3, 0.2))
    ]
    quick = PastRun("2026-11-19T00:00:00", canonical=False, metrics={name: 9.0})

    (curve,) = history.curves([*runs, quick], 10)
    assert curve.readings == (0.1, 0.3, 0.2)
    assert curve.path == "4.0,30.0 80.0,4.0 156.0,17.0"
    assert history.curves(runs, 2)[0].readings == (0.3, 0.2)
    assert history.curves(runs[:1], 10) == []


def test_the_gap_of_a_cell_is_the_gap_of_its_own_small_factorial() -> None:
    """``within`` keeps base, singles and joint of the layers that are on, in their order."""
    f = one(joint(FIVE, BETA))
    inner = f.within(0b00101)

    assert inner.layers == ("storage", "pipeline")
    assert composition.gap(values(inner)["independent"], values(inner)["joint"])[0] == pytest.approx(0.99 * math.expm1(0.2))
