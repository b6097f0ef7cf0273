"""The A/A noise floor of the measured factorial: by hand, apart from the factorial, the testbed's own word, on every page."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from deltastack.analysis import noise_floor
from deltastack.analysis.analysis import compute
from deltastack.contracts import USAGE
from deltastack.model import AA_TWIN, Bench, Component, OperatingPoint, Resource
from deltastack.report import metrics, summary_lines, wording
from deltastack.report.html import sections
from deltastack.report.html import table_rows as tables
from deltastack.report.html.page import html
from deltastack.stack import Stack
from deltastack.statistics import aa_noise
from tests.report.synthetic import joint, with_twin

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis

LOUD, QUIET = (0.3, -0.3, 0.25, -0.25), (0.001, -0.001, 0.002, -0.002)
SMALL = {"storage": dict.fromkeys(Component, 1.1), "idle": dict.fromkeys(Component, 0.8)}
AT = (OperatingPoint.PER_SESSION, Resource.CPU_S)


def results(log_ratios: tuple[float, ...] | None, **planted: Any) -> Analysis:
    """Four nearly noiseless blocks: storage costs 10 %, idle saves 20 %, together 12 %; the twin as given."""
    frame = joint(SMALL, bench=Bench.TESTBED, samples=4, sd_log=1e-4, resource=Resource.CPU_S, **planted)
    return compute(
        stack=Stack(layers=tuple(SMALL), tolerance=0.02, confidence=0.95, effort="default"),
        workload={"words": "a", "source": "b", "dropped_rows": 0, "text_only_share": 0.5},
        baseline=USAGE.empty(),
        deltas={},
        joint={Bench.TESTBED: frame if log_ratios is None else with_twin(frame, log_ratios)},
    )


def test_the_floor_by_hand() -> None:
    """Log ratios 0.1 and 0.3 of two blocks: mean 0.2, s = 0.1414, t(1) = 12.706, so ends 0.2 ± 1.2706 in log."""
    frame = with_twin(joint(SMALL, bench=Bench.TESTBED, samples=2, resource=Resource.CPU_S), (0.1, 0.3))

    apart, known = noise_floor.split(frame)
    floor = known[AT]
    assert floor.delta == pytest.approx(1 - math.exp(0.2))
    assert floor.high == pytest.approx(1 - math.exp(0.2 - 1.27062), rel=1e-4)
    assert floor.largest == pytest.approx(math.exp(0.2 + 1.27062) - 1, rel=1e-4)
    assert AA_TWIN not in set(apart["cell"])
    assert len(apart) == len(frame) - 2 * 3  # three components, two blocks


@pytest.mark.parametrize(("twin", "word"), [(LOUD, "not resolved"), (QUIET, "costs"), (None, "costs")])
def test_a_loss_inside_the_floor_is_not_resolved(twin: tuple[float, ...] | None, word: str) -> None:
    """-10 % with a narrow interval: a loss, unless two equal cells differ by more; in the table, the last lines, the page."""
    made = results(twin)
    rows = {r["layer"]: r["resolution"] for r in tables.shares(made)}
    table = {r["layer"]: r["resolution"] for r in wording(made)["table"]}
    (line,) = [x for x in summary_lines(wording(made)) if x.startswith("  storage")]

    assert rows["storage"] == table["storage"] == word
    assert ("~" in line) is (word == "not resolved")
    if twin is not None:
        assert bool(re.search(r'<tr[^>]* class="loss"><td>storage</td>', html(made, {}))) is (word == "costs")


def test_the_word_is_the_testbeds_own() -> None:
    """For Δ of either sign around the floor the report says what ``aa_noise.resolve`` says."""
    made = results((0.08, -0.08, 0.02, 0.01))
    floor = made.factorials[0].noise_floor
    assert floor is not None

    for share, row in zip((x.share for x in made.factorials[0].layers), (r["resolution"] for r in _in_order(made)), strict=True):
        assert share.alone.low is not None
        assert share.alone.high is not None
        assert row == aa_noise.resolve(share.alone.value, share.alone.low, share.alone.high, floor)
    assert {r["resolution"] for r in _in_order(made)} == {"not resolved", "saves"}


def _in_order(made: Analysis) -> list[dict[str, Any]]:
    return sorted(tables.shares(made), key=lambda r: list(SMALL).index(r["layer"]))


def test_a_total_inside_the_floor_is_no_saving() -> None:
    """12 % of the joint run against a loud twin: the first sentence says so, with the floor; so does the page."""
    loud, quiet = results(LOUD), results(QUIET)

    (said,) = wording(loud)["headline"]
    assert said.startswith("storage + idle: a saving of CPU time per session on this machine (testbed bench, measured, ")
    assert "measured, one process start, A/A noise floor" in said
    assert "is not resolved, +12.0 %" in said
    assert "saves 12.0 % [12.0, 12.0] of CPU time" in wording(quiet)["headline"][0]
    assert "A/A noise floor ±" in html(quiet, {})


def test_the_floor_is_a_number_of_its_own() -> None:
    """metrics.json and summary.json carry it by name; a table without a twin has none."""
    made = results(LOUD)
    floor = made.factorials[0].noise_floor
    assert floor is not None

    assert metrics(made)["aa_noise_floor"] == {"testbed": {"cpu_s": pytest.approx(floor.largest)}}
    assert wording(made)["aa_noise_floor"] == {"testbed.cpu_s": pytest.approx(floor.largest)}
    assert "aa_noise_floor" not in metrics(results(None))


def test_the_twin_enters_no_total() -> None:
    """Totals, shares and factors that do nothing are those of the table without it."""
    without, loud = results(None), results(LOUD)

    assert loud.total.equals(without.total)
    assert loud.tables.joint[Bench.TESTBED].equals(without.tables.joint[Bench.TESTBED])


def test_how_often_it_cries_wolf_is_printed() -> None:
    """Order once, the coin 500 times, each with its rate and the expected one; the twin beside them; the rates are metrics."""
    made = results(QUIET)
    order, coin, twin = sections.null_factors(made)
    rates = metrics(made)["null_factor_fpr"]["testbed"]["cpu_s"]

    assert order.startswith("testbed, CPU time: run order, as it was run: ")
    assert (
        f"random, drawn 500 times over the same runs: {round(1500 * rates['random']):,} of 1,500 intervals claim an effect"
        in coin
    )
    assert coin.endswith("(5.0 % expected).")
    assert "the base's A/A twin seems to save 0.0 % [-0.3, +0.3] over 4 blocks: its interval holds 0." in twin
    page = html(made, {})
    assert all(sentence.split(":")[1] in page for sentence in (order, coin))


def test_starts_that_differ_are_the_units() -> None:
    """Two process starts, +0.1 and -0.1 with little noise inside: the floor rests on two means and is wide."""
    frame = with_twin(
        joint(SMALL, bench=Bench.TESTBED, samples=6, resource=Resource.CPU_S), (0.1, 0.101, 0.099, -0.1, -0.101, -0.099)
    )
    frame = frame.assign(replicate=frame["block"] // 3)

    floor = noise_floor.split(frame)[1][AT]
    assert floor.pairs == 2
    assert floor.largest > 1
    made = results(None)
    (a,) = made.factorials
    *_, twin = sections.null_factors(
        replace(made, factorials=(replace(a, noise_floor=floor, factorial=replace(a.factorial, starts=(0, 0, 1, 1))),))
    )
    assert " over 2 process starts: its interval holds 0." in twin


def test_pairs_of_blocks_that_differ_are_the_units() -> None:
    """Four pairs whose halves agree on +0.1, -0.1, +0.1, -0.1: four units, t(3) x 0.1155 / 2 = 0.1837 and no 0.089 of eight."""
    pairs = (0.1, 0.1001, -0.1, -0.1001, 0.1, 0.1001, -0.1, -0.1001)
    frame = with_twin(joint(SMALL, bench=Bench.TESTBED, samples=8, resource=Resource.CPU_S), pairs)

    floor = noise_floor.split(frame)[1][AT]
    assert floor.pairs == 4
    assert floor.low == pytest.approx(1 - math.exp(0.1837), abs=1e-3)


def test_what_was_not_read_has_no_floor() -> None:
    """A missing amount, or one block alone, gives no floor; nothing is made up."""
    frame = with_twin(joint(SMALL, bench=Bench.TESTBED, samples=2, resource=Resource.CPU_S), (0.1, 0.3))
    blind = frame.copy()
    blind.loc[blind["cell"] == AA_TWIN, ["amount", "reason"]] = [np.nan, "no counter"]

    assert noise_floor.split(blind)[1] == {}
    assert noise_floor.split(frame[frame["block"] == 0])[1] == {}
