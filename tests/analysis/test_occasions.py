"""Starts and occasions: what a measured verdict may say, by hand and by simulation, and how its history is kept."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from deltastack.analysis.analysis import compute
from deltastack.analysis.factorial import factorials
from deltastack.analysis.formula_totals import held
from deltastack.analysis.occasions import WRONG, Circumstances, LogReading, Occasion, circumstances, reading_key
from deltastack.contracts import USAGE
from deltastack.experiment.contention import Neighbours, watch
from deltastack.model import Bench, Component, Resource
from deltastack.outcomes import Formula, Verdict
from deltastack.report import summary_lines, wording
from deltastack.report.text.evidence_card import card
from deltastack.report.text.occasions import method
from deltastack.stack import Stack
from deltastack.statistics import log_tolerance
from tests.report.synthetic import joint

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis
    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.formula_totals import Total

TWO = {"storage": dict.fromkeys(Component, 0.8), "idle": dict.fromkeys(Component, 0.5)}
NAMES = tuple(TWO)
QUIET = Circumstances(measured="2026-11-27T10:00:00", loud=())
LIMIT = log_tolerance(0.02)


def factorial(bench: Bench = Bench.ENGINE, samples: int = 8, starts: int = 1) -> Factorial:
    """Two layers that multiply exactly, without noise."""
    return factorials(joint(TWO, bench=bench, samples=samples, starts=starts), NAMES)[0][0]


def noisy(f: Factorial, seed: int, *, start_sd: float, run_sd: float = 0.01, wrong: float = 0.0) -> Factorial:
    """The same with noise: of every cell in every process start, and of every run; the joint run leaves e^wrong as much."""
    rng = np.random.default_rng(seed)
    starts = np.arange(f.amounts.shape[-1]) if f.bench is Bench.ENGINE else np.array(f.starts)
    logs = rng.normal(0, start_sd, (4, 1, int(starts.max()) + 1))[..., starts] + rng.normal(0, run_sd, (4, 1, len(starts)))
    logs[f.full] += wrong
    return replace(f, amounts=f.amounts * np.exp(logs))


def product(f: Factorial, at: Circumstances = QUIET) -> Total:
    """The product's total."""
    return held(f, tolerance=0.02, confidence=0.95, at=at).totals[Formula.INDEPENDENT]


@pytest.mark.parametrize("bench", [Bench.TESTBED, Bench.ENGINE])
def test_a_start_effect_of_five_percent_calls_no_right_product_wrong(bench: Bench) -> None:
    """Each cell differs by 5 % from start to start: *fails* in at most 5 % of 400 runs, and *holds* of a wrong one as seldom."""
    f = factorial(bench, samples=12, starts=3) if bench is Bench.TESTBED else factorial(bench)
    right = [product(noisy(f, seed, start_sd=0.05)).verdict for seed in range(400)]

    assert right.count(Verdict.FAILS) <= 0.05 * 400
    assert Verdict.INDICATIVE not in right


def test_a_wrong_product_is_called_wrong_with_the_stated_power() -> None:
    """10 points wrong, 2 % from start to start: as often as the runs say themselves on average, within 4 points."""
    f = factorial()
    found = [product(noisy(f, seed, start_sd=0.02, run_sd=0.0, wrong=WRONG)) for seed in range(400)]
    said = np.mean([t.verdict is Verdict.FAILS for t in found])
    stated = np.mean([t.repeated.says_fails for t in found if t.repeated])

    assert said == pytest.approx(stated, abs=0.04)
    assert 0.5 < said <= 1


def test_an_occasion_effect_of_five_percent_calls_no_right_product_wrong() -> None:
    """Six occasions that differ by 5 %, each with narrow starts: the pool says *fails* in at most 5 % of 300 histories."""
    f, rng = factorial(), np.random.default_rng(7)
    key = reading_key(f, Formula.INDEPENDENT)
    found = []
    for seed in range(300):
        effects = rng.normal(0, 0.05, 6)
        earlier = [Occasion(measured=str(i), readings={key: LogReading(x, 0.004, 8)}) for i, x in enumerate(effects[1:])]
        run = noisy(f, seed, start_sd=0.0, run_sd=0.005, wrong=effects[0])
        found.append(product(run, replace(QUIET, earlier=tuple(earlier))))

    assert [t.verdict for t in found].count(Verdict.FAILS) <= 0.05 * 300
    assert all(t.repeated and t.repeated.occasions == 6 and t.repeated.by_occasions for t in found)


@pytest.mark.parametrize(
    ("bench", "starts", "loud", "why"),
    [
        (Bench.TESTBED, 1, (), "1 of 3 process starts"),
        (Bench.TESTBED, 2, (), "2 of 3 process starts"),
        (Bench.ENGINE, 1, ("stolen time 9.0 %",), "loud machine: stolen time 9.0 %"),
        (Bench.ENGINE, 1, None, "what else used the machine was not recorded"),
        (Bench.TESTBED, 1, ("a", "b"), "1 of 3 process starts; loud machine: a, b"),
    ],
)
def test_indicative(bench: Bench, starts: int, loud: tuple[str, ...] | None, why: str) -> None:
    """A gap of 10 points without any noise is called neither right nor wrong, and is not canonical."""
    planted = joint(TWO, {("storage", "idle"): 0.2}, bench=bench, samples=8, starts=starts)
    t = product(factorials(planted, NAMES)[0][0], Circumstances(loud=loud))

    assert (t.verdict, t.reason) == (Verdict.INDICATIVE, why)
    assert not analysed(planted, bench, Circumstances(loud=loud)).factorials[0].factorial.canonical
    assert analysed(planted, bench, Circumstances(loud=())).factorials[0].factorial.canonical is (bench is Bench.ENGINE)


@pytest.mark.parametrize(("sd", "word"), [(0.0, Verdict.FAILS), (0.001, Verdict.INDICATIVE)])
def test_an_exact_count_needs_no_quiet_machine(sd: float, word: Verdict) -> None:
    """Bytes that every block repeats to the last digit are the same at any load and in any start; noisy ones are not exact."""
    planted = joint(TWO, {("storage", "idle"): 0.2}, bench=Bench.TESTBED, samples=4, resource=Resource.IO_BYTE, sd_log=sd)
    t = product(factorials(planted, NAMES)[0][0], Circumstances(loud=("x",)))

    assert t.verdict is word


@pytest.mark.parametrize(("gap", "word"), [(0.9, "holds"), (1.1, "fails"), (-0.9, "holds"), (-1.1, "fails"), (1.9, "fails")])
def test_the_tolerance_is_of_the_log_ratio(gap: float, word: str) -> None:
    """Without noise: a gap of 0.9 and of 1.1 times ln 1.02, whatever the stack leaves (0.4 of the base here)."""
    planted = joint(TWO, {("storage", "idle"): gap * LIMIT}, bench=Bench.ENGINE, samples=4)
    t = product(factorials(planted, NAMES)[0][0])

    assert t.verdict == word
    assert t.repeated is not None
    assert t.repeated.here.value == pytest.approx(gap * LIMIT)
    assert t.gap is not None
    assert t.gap.value == pytest.approx(0.4 * math.expm1(gap * LIMIT))


def history(*values: float, error: float = 0.001) -> Circumstances:
    """Earlier quiet occasions with these gaps of the product; the joint run left 40 %."""
    f = factorial()
    readings = [
        {
            reading_key(f, Formula.INDEPENDENT): LogReading(x, error, 8),
            reading_key(f, Formula.JOINT): LogReading(math.log(0.4), error, 8),
        }
        for x in values
    ]
    return replace(QUIET, earlier=tuple(Occasion(measured=f"2026-11-0{i + 1}", readings=r) for i, r in enumerate(readings)))


@pytest.mark.parametrize(
    ("earlier", "word", "count"),
    [
        ((), "fails", 1),
        ((0.1,), "fails", 2),
        ((0.0,), "undecided", 2),
        ((0.1, 0.1), "fails", 3),
        ((0.0, 0.1), "undecided", 3),
        ((0.1, 0.1, 0.1, 0.1), "fails", 5),
    ],
)
def test_earlier_occasions_are_in_the_verdict(earlier: tuple[float, ...], word: str, count: int) -> None:
    """10 % in logs now: one occasion that says another word undoes it, and of three or more their pool decides."""
    f = noisy(factorial(), 1, start_sd=0.0, run_sd=0.001, wrong=0.1)
    t = product(f, history(*earlier))

    assert t.verdict == word
    assert t.repeated is not None
    assert t.repeated.occasions == count
    if word == "undecided" and count == 2:
        assert t.reason == "an earlier run did not say the same"


def test_this_occasion_counts_once() -> None:
    """What was noted already is not an earlier one; and a loud run is not pooled."""
    f = noisy(factorial(), 1, start_sd=0.0, run_sd=0.001, wrong=0.1)
    earlier = history(0.1, 0.1).earlier
    again = replace(QUIET, earlier=(*earlier, replace(earlier[0], measured=QUIET.measured)))

    assert product(f, again).repeated.occasions == 3  # type: ignore[union-attr]
    assert product(f, replace(again, loud=("x",))).repeated.occasions == 2  # type: ignore[union-attr]


def test_a_formula_that_leaves_nothing_has_no_logarithm() -> None:
    """Three layers that save 60 % each: the sum promises 180 %, and nothing is decided about it."""
    three = ("storage", "idle", "pipeline")
    f = factorials(joint({n: dict.fromkeys(Component, 0.4) for n in three}, bench=Bench.ENGINE), three)[0][0]
    t = held(f, tolerance=0.02, confidence=0.95, at=QUIET).totals[Formula.WEIGHTED]

    assert (t.verdict, t.reason) == (Verdict.UNDECIDED, "it promises to leave nothing, which has no logarithm")


def analysed(planted: object, bench: Bench, at: Circumstances) -> Analysis:
    """The analysis of a measured table."""
    return compute(
        stack=Stack(layers=NAMES, tolerance=0.02, confidence=0.95, effort="default"),
        workload={"words": "a", "source": "b", "dropped_rows": 0, "text_only_share": 0.5},
        baseline=USAGE.empty(),
        deltas={},
        joint={bench: planted},  # type: ignore[dict-item]
        measured_at={bench: at},
    )


def test_it_is_said_on_terminal_page_and_in_json() -> None:
    """The reason stands in the last lines and on the card; counts, pool, next run and power in JSON and in the method."""
    planted = joint(TWO, bench=Bench.ENGINE, samples=8, sd_log=0.01)
    loud = analysed(planted, Bench.ENGINE, replace(history(0.1, 0.1), loud=("others used 1.50 processors",)))
    assert any("indicative" in x and "loud machine: others used 1.50 processors" in x for x in summary_lines(wording(loud)))
    assert "engine: no, indicative (loud machine: others used 1.50 processors)" in dict(card(loud))["Canonical"]

    quiet = analysed(planted, Bench.ENGINE, history(0.0, 0.01))
    told = wording(quiet)["totals"][0]
    assert (told["starts"], told["loud"], told["canonical"], told["indicative"]) == (8, [], True, None)
    assert told["occasions"]["count"] == 3
    assert told["occasions"]["next"][0] < told["occasions"]["log_gap_lo"] < told["occasions"]["log_gap_hi"]
    assert told["joint_over_occasions"]["delta"] == pytest.approx(0.6, abs=0.01)
    said = " ".join(method(quiet))
    assert "8 process starts, machine quiet, 3 of 3 quiet occasions" in said
    assert "another run would fall in [" in said
    assert "all layers together save +60." in said or "all layers together save +59." in said
    assert "Were it wrong by 0.1 in logs (11 % of what is left):" in said
    assert method(analysed(joint(TWO), Bench.FLEET, QUIET)) == []


def test_what_stands_beside_a_table() -> None:
    """Older tables say nothing of the machine; a quiet one says so with an empty list."""
    assert circumstances({}) == Circumstances()
    assert circumstances({"measured": "x", "machine": {"loud": ["y"]}}) == Circumstances(measured="x", loud=("y",))


@pytest.mark.parametrize(
    ("steal", "others", "words"),
    [
        (0.0, 0.2, []),
        (0.02, 0.25, []),
        (0.03, 0.1, ["stolen time 3.0 %"]),
        (None, 0.3, ["others used 0.30 processors"]),
        (0.03, 0.3, ["stolen time 3.0 %", "others used 0.30 processors"]),
        (None, None, None),
    ],
)
def test_what_is_loud(steal: float | None, others: float | None, words: list[str] | None) -> None:
    """More than 2 % stolen, or more than a quarter of a processor used by others; nothing read is not quiet."""
    assert Neighbours(steal_share=steal, others=others).facts()["loud"] == words


def test_own_work_is_no_neighbour() -> None:
    """What this process burns in the window is not counted for others: they use at most what is left of the processors."""
    with watch() as seen:
        total = sum(a * b for a, b in pairwise(range(400_000)))
    assert total > 0
    assert seen.others is None or seen.others >= 0
    assert set(seen.facts()) == {"steal_share", "others_processors", "load", "frequency_hz", "busiest", "loud"}
