"""Comparing two sets of results: Δ of Δ by hand, noise, other hosts, turned verdicts, Markdown."""

from __future__ import annotations

import math
from typing import Any

import pytest

from deltastack.analysis.analysis import compute
from deltastack.analysis.formula_totals import estimate, values
from deltastack.contracts import QUALITY, USAGE
from deltastack.decisions.compare import ChangeVerdict, Side, compare, markdown
from deltastack.model import Bench, Component, Evidence
from deltastack.stack import Stack
from tests.report.synthetic import joint

WHOLE = {"storage": dict.fromkeys(Component, 0.8), "pipeline": dict.fromkeys(Component, 0.5)}


def side(name: str = "a", host: str = "host", params: dict[str, str] | None = None, **planted: Any) -> Side:
    """Results of a planted factorial."""
    bench = planted.get("bench", Bench.FLEET)
    layers = planted.pop("layers", WHOLE)
    quality = planted.pop("quality", None)
    stack = Stack(layers=tuple(layers), tolerance=0.02, confidence=0.95, effort="default")
    frame = joint(layers, **planted).assign(host=host)
    rows = (
        [(bench, "pipeline+storage", "accuracy", 100, 0.9, 0.9, *quality, Evidence.MEASURED, None, "host", True)]
        if quality
        else []
    )
    found = compute(
        stack=stack, workload={}, baseline=USAGE.empty(), deltas={}, joint={bench: frame}, quality_table=QUALITY.frame(rows)
    )
    return Side(name=name, params=params or {}, analysis=found)


def test_by_hand() -> None:
    """40 % of energy left before, 0.8 x 0.6 = 48 % after: the saving fell by 8 points, in every draw alike."""
    after = side("b", layers=WHOLE | {"pipeline": dict.fromkeys(Component, 0.6)}, sd_log=0.1)
    found = compare(side("a", sd_log=0.1), after)

    (change,) = found.totals
    assert (change.before.value, change.after.value) == (pytest.approx(0.6), pytest.approx(0.52))
    assert change.change[:3] == pytest.approx((-0.08, -0.08, -0.08))
    assert change.change.draws == 8
    assert change.word is ChangeVerdict.WORSE
    assert found.regressions == (change,)


def test_the_same_results_do_not_differ() -> None:
    """No parameter, no total, no verdict."""
    found = compare(side(sd_log=0.1), side(sd_log=0.1))

    assert found.params == {}
    assert found.totals[0].word is ChangeVerdict.SAME
    assert found.verdict_changes == found.one_sided == ()


def test_two_experiments_add_their_noise_in_squares() -> None:
    """Testbed: the half-widths of both intervals add in squares; a fall inside them is no regression."""
    planted: dict[str, Any] = {"bench": Bench.TESTBED, "samples": 6, "sd_log": 0.05}
    before, after = side(seed=1, **planted), side(seed=2, **planted)
    (change,) = compare(before, after).totals

    ends = [estimate(s.analysis.factorials[0].factorial, lambda f: values(f)["joint"], 0.95) for s in (before, after)]
    half = math.hypot(*(e.high - e.value for e in ends if e.high is not None))
    assert change.change.value == pytest.approx(ends[1].value - ends[0].value)
    assert change.change.high == pytest.approx(change.change.value + half)
    assert change.word is ChangeVerdict.SAME


def test_a_false_regression_is_rare() -> None:
    """60 pairs of equal experiments: 5 % of them are 3; 8 or more would come once in 80 suites (binomial)."""
    planted: dict[str, Any] = {"bench": Bench.TESTBED, "samples": 8, "sd_log": 0.05}
    words = [compare(side(seed=2 * n, **planted), side(seed=2 * n + 1, **planted)).totals[0].word for n in range(60)]

    assert sum(w is not ChangeVerdict.SAME for w in words) <= 7


def test_other_hosts_are_never_judged() -> None:
    """A large fall between two hosts is shown, named and not called a regression."""
    planted: dict[str, Any] = {"bench": Bench.TESTBED, "samples": 6, "sd_log": 0.01}
    after = side(host="other", layers=WHOLE | {"pipeline": dict.fromkeys(Component, 0.9)}, **planted)
    (change,) = compare(side(**planted), after).totals

    assert change.word is ChangeVerdict.UNDECIDED
    assert change.reason == "other host: host before, other after"
    assert change.change.value < -0.2


def test_only_what_differs_is_shown() -> None:
    """Equal parameters stay out; a verdict that turned and a quality that fell are there."""
    before = side("a", params={"x": "1", "y": "2"}, quality=(0.0, -0.001, 0.001), sd_log=0.1)
    after = side(
        "b", params={"x": "1", "y": "3", "z": "4"}, quality=(-0.02, -0.021, -0.019), interactions={("storage", "pipeline"): 0.3}
    )
    found = compare(before, after)

    assert found.params == {"y": ("2", "3"), "z": (None, "4")}
    assert ("independent", "holds", "fails") in [(t.formula, t.before, t.after) for t in found.verdict_changes]
    assert [q.word for q in found.quality] == [ChangeVerdict.WORSE]
    text = markdown(found)
    assert text.startswith("### deltastack: a → b\n\n**1 worse**")
    assert "| `z` | absent | `4` |" in text
    assert "| `x` |" not in text
    assert "- `independent` of fleet.at_trace.energy_j: holds → fails" in text


def test_other_numbers_of_draws_share_the_central_one_alone() -> None:
    """Four draws against six: the central difference stands, without an interval, and the reason says so."""
    (change,) = compare(side("a", samples=4, sd_log=0.1), side("b", samples=6, sd_log=0.1)).totals

    assert (change.change.low, change.change.high, change.word) == (None, None, ChangeVerdict.UNDECIDED)
    assert change.reason == "one side has 4 draws of the model, the other 6: they share the central one alone"


def test_a_total_of_one_side_is_named() -> None:
    """A bench that only one side has is listed, not left out."""
    found = compare(side("a"), side("b", bench=Bench.TESTBED))

    assert found.totals == ()
    assert found.one_sided == ("fleet.at_trace.energy_j: only a", "testbed.per_session.energy_j: only b")
