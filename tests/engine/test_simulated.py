"""Planted savings and a planted interaction through the bench's own plan, records and tables: readings are simulated.

A hundred experiments with known truth: processor seconds are 2 s, a leaves 0.8 of it, b leaves 0.7, both together 0.9 of the
product. Every run is a server start with its own log-normal noise, and the machine drifts.
"""

from __future__ import annotations

import math
import random
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from deltastack import composition
from deltastack.analysis.factorial import Factorial, factorials
from deltastack.analysis.formula_totals import estimate, values
from deltastack.contracts import JOINT
from deltastack.engine import tables
from deltastack.engine.faults import RunsError
from deltastack.engine.observe import Observed
from deltastack.engine.run import Experiment, Measured, execute
from deltastack.errors import CellError, EvidenceError
from deltastack.experiment.ledger import Entry
from deltastack.experiment.meter import Quantity, Reading
from deltastack.experiment.plan import Plan, distinct, plain
from deltastack.experiment.run_plan import Stopped, StopRule, compare
from deltastack.model import Resource, cell_of
from tests.engine.fakes import engine, silent

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from deltastack.experiment.plan import Slot

CELLS = ("base", "storage", "idle", "idle+storage")
LEFT, TOGETHER, BASE_S = {"storage": 0.8, "idle": 0.7}, 0.9, 2.0
ALONE = {"storage": 0.2, "idle": 0.3}
JOINT_SAVING = 1 - 0.8 * 0.7 * 0.9
GAP = (1 - 0.8 * 0.7) - JOINT_SAVING


class Simulated:
    """An engine whose readings are drawn; ``broken`` cells fail, ``late`` ends the bench before that run."""

    def __init__(self, seed: int, *, sd_log: float = 0.03, broken: str = "", late: str = "") -> None:
        """Draw from ``seed`` with this spread."""
        self.seed, self.sd_log, self.broken, self.late = seed, sd_log, broken, late
        self.runs: list[str] = []

    def __call__(self, slots: Sequence[Slot], *, ask: Collection[Slot]) -> tuple[Observed, ...]:
        """Runs of ``slots``; the same slot always gives the same reading."""
        del ask
        found, faults = [], {}
        for slot in slots:
            try:
                found.append(self._one(slot))
            except CellError as error:
                faults[slot] = error
        if faults:
            raise RunsError(faults)
        return tuple(found)

    def _one(self, slot: Slot) -> Observed:
        if slot.key == self.late:
            raise KeyboardInterrupt
        self.runs.append(slot.key)
        cell = plain(slot.cell)
        if cell == self.broken:
            raise CellError("crashed", "as planted")
        on = cell_of(cell)
        noise = random.Random(f"{self.seed}/{slot.key}").gauss(0, self.sd_log)  # noqa: S311 - noise, no secret
        drift = 0.01 * (slot.block + slot.position / 10)
        spent = BASE_S * math.prod(LEFT[x] for x in on) * (TOGETHER if len(on) == 2 else 1) * math.exp(noise + drift)
        reading = Reading(spent, "simulated")
        entry = Entry(
            slot=slot,
            readings={Quantity.CPU_S: reading},
            components={"other": {"cpu_s": spent}},
            quality={"requests": 3.0},
        )
        return Observed(entry=entry, records=(), answered=(), resolved={})


def plan(seed: int, pairs: int = 5) -> Plan:
    """Base, twin, both layers and both together."""
    return Plan(cells=distinct(["base", *CELLS]), starts=1, block_pairs=pairs, warm_ups=0, seed=seed)


def run(path: Path, one: Simulated, *, pairs: int = 5, budget_s: float = 1e9, half_width: float = 1e-9) -> Measured:
    """One experiment."""
    rule = StopRule(half_width=half_width, budget_s=budget_s)
    return execute(Experiment(plan(one.seed, pairs), path, f"k{one.seed}", engine("cache")), one, rule, silent)


def in_memory(entries: tuple[Entry, ...]) -> Factorial:
    """The same without the check of the contract, which takes most of the time of a thousand."""
    rows = tables.joint_rows(entries, ("storage", "idle"), host="simulated", canonical=True)
    frame = pd.DataFrame(rows, columns=[c.name for c in JOINT.columns][: len(rows[0])])
    return factorials(frame[frame["cell"].isin(CELLS)].reset_index(drop=True), ("storage", "idle"))[0][0]


def factorial(measured: Measured) -> Factorial:
    """The report's own reading of the joint table."""
    layers = tables.full_layers(("storage", "idle"), {plain(e.slot.cell) for e in measured.entries})
    frame = JOINT.frame(tables.joint_rows(measured.entries, layers, host="simulated", canonical=True))
    return factorials(frame[frame["cell"].isin(CELLS)].reset_index(drop=True), layers)[0][0]


def _gap(f: Factorial) -> NDArray[np.float64]:
    found = values(f)
    return composition.gap(found["independent"], found["joint"])


def _formula(f: Factorial, *, name: str) -> NDArray[np.float64]:
    return values(f)[name]


def inside(entries: tuple[Entry, ...], f: Factorial) -> dict[str, bool]:
    """Which intervals hold what was planted: both savings alone, the twin, the joint saving, and the gap of the product."""
    found = {}
    for name, (statistic, value) in {"joint": (partial(_formula, name="joint"), JOINT_SAVING), "gap": (_gap, GAP)}.items():
        e = estimate(f, statistic, 0.95)
        found[name] = e.low is not None and e.high is not None and e.low <= value <= e.high
    for name, value in (ALONE | {"twin": 0.0}).items():
        n = compare(entries, plan(0).cells[1] if name == "twin" else name, "base", Quantity.CPU_S)
        found[name] = n.low <= value <= n.high
    return found


def test_planted_savings_and_interaction_lie_in_their_intervals(tmp_path: Path) -> None:
    """In 93 or more of the first 100 experiments each, through records on disk and the contracts."""
    every = []
    for seed in range(100):
        measured = run(tmp_path, Simulated(seed))
        every.append(inside(measured.entries, factorial(measured)))

    held = {name: sum(one[name] for one in every) for name in every[0]}
    assert {name: n for name, n in held.items() if n < 93} == {}


@pytest.mark.parametrize("pairs", [3, 6])
def test_intervals_of_a_thousand_experiments_hold_what_was_planted(pairs: int) -> None:
    """The true coverage, of no chosen seeds: 94 to 97 of 100 for three pairs of blocks and for six.

    An interval of 95 % that holds the truth in 95 of 100 gives 930 to 970 of 1,000 in 997 of 1,000 such tests; the joint saving
    and the gap are a little wider than they need to be, because a drift cancels in a pair of blocks and not in its two halves.
    """
    every = []
    for seed in range(1000):
        one = Simulated(seed)
        entries = tuple(found.entry for found in one(plan(seed, pairs).slots(), ask=()))
        every.append(inside(entries, in_memory(entries)))

    held = {name: sum(one[name] for one in every) for name in every[0]}
    assert {name: n for name, n in held.items() if not 930 <= n <= 985} == {}


def test_a_product_that_fails_is_told_and_one_that_holds_is_not(tmp_path: Path) -> None:
    """With little noise the gap's interval excludes 0: the product of both savings promises 5.6 points too little."""
    found = estimate(factorial(run(tmp_path, Simulated(1, sd_log=0.005))), _gap, 0.95)

    assert found.value == pytest.approx(GAP, abs=0.01)
    assert found.high is not None
    assert found.high < 0 or found.low > 0  # type: ignore[operator]


def test_a_cut_experiment_goes_on_and_gives_the_same_rows(tmp_path: Path) -> None:
    """Cut before any run and asked again, it repeats nothing; its table is that of an experiment that was never cut."""
    whole = run(tmp_path / "whole", Simulated(7))
    cut = plan(7).slots()[23].key
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", Simulated(7, late=cut))
    again = Simulated(7)

    resumed = run(tmp_path / "cut", again)

    rows = [tables.joint_rows(m.entries, ("storage", "idle"), host="x", canonical=True) for m in (whole, resumed)]
    assert rows[0] == rows[1]
    assert len(again.runs) == len(whole.entries) - 23


def test_a_broken_cell_is_tried_twice_and_given_up_for_good(tmp_path: Path) -> None:
    """Two tries, then no more, also after a resume; the other cells have all blocks."""
    first = Simulated(3, broken="idle")
    measured = run(tmp_path, first)

    again = Simulated(3, broken="idle")
    resumed = run(tmp_path, again)

    assert sum("/idle" in k and "+" not in k for k in first.runs) == 2
    assert measured.given_up == resumed.given_up == {"idle": "crashed: as planted"}
    assert again.runs == []
    assert factorial(measured).layers == ("storage",)
    assert {plain(e.slot.cell): 0 for e in measured.entries} == {"base": 0, "storage": 0, "idle+storage": 0}


def test_it_stops_when_precise_and_when_the_budget_is_spent(tmp_path: Path) -> None:
    """A wide goal ends it after four pairs, a spent budget after one; both say so."""
    precise = run(tmp_path / "a", Simulated(1), pairs=50, half_width=0.5)
    late = run(tmp_path / "b", Simulated(1), pairs=50, budget_s=1e-9)

    assert (precise.stopped, len(precise.entries)) == (Stopped.PRECISE, 4 * 10)
    assert (late.stopped, len(late.entries)) == (Stopped.BUDGET, 10)


def test_records_of_another_key_are_refused(tmp_path: Path) -> None:
    """A file of other parameters under this name is never mixed in."""
    run(tmp_path, Simulated(1))
    (tmp_path / "k1.runs.jsonl").rename(tmp_path / "k2.runs.jsonl")

    with pytest.raises(EvidenceError, match="another plan"):
        run(tmp_path, Simulated(2))


def test_exact_counts_have_rows(tmp_path: Path) -> None:
    """Every run has its counters; the twin's carry the twin's name."""
    rows = tables.counter_rows(run(tmp_path, Simulated(1), pairs=1).entries, host="x", canonical=True)

    assert len(rows) == 10
    assert {r[0] for r in rows} == {*CELLS, "base@aa"}
    assert all(r[6:8] == ("requests", 3.0) for r in rows)


def test_the_report_takes_the_engine_as_a_measured_bench(tmp_path: Path) -> None:
    """Blocks are samples, the twin gives the floor, and no interval is said to lack process starts: every run is one."""
    from deltastack.analysis import noise_floor
    from deltastack.model import Bench, OperatingPoint

    measured = run(tmp_path, Simulated(5))
    frame = JOINT.frame(tables.joint_rows(measured.entries, ("storage", "idle"), host="simulated", canonical=True))

    apart, floors = noise_floor.split(frame)
    f = factorials(apart, ("storage", "idle"))[0][0]

    assert (f.bench, f.drawn, f.one_start, f.amounts.shape[-1]) == (Bench.ENGINE, False, False, 10)
    assert floors[OperatingPoint.PER_SESSION, Resource.CPU_S].low < 0 < floors[OperatingPoint.PER_SESSION, Resource.CPU_S].high
