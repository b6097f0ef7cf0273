"""A saving that costs too many right answers: it is never named without saying so, wherever it is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from deltastack.analysis.analysis import Analysis, compute
from deltastack.analysis.quality import unfit, worst_reading
from deltastack.contracts import DELTA, QUALITY, USAGE
from deltastack.model import Bench, Component, Evidence, OperatingPoint, Resource
from deltastack.report import wording
from deltastack.report.html.page import html
from deltastack.report.text.evidence_card import admissible
from deltastack.report.text.terminal import summary_lines
from deltastack.stack import Stack
from tests.report.synthetic import joint

if TYPE_CHECKING:
    import pandas as pd

FACTORS = {"storage": dict.fromkeys(Component, 0.6), "pipeline": dict.fromkeys(Component, 1.0)}
STACK = Stack(layers=tuple(FACTORS), tolerance=0.02, confidence=0.95, effort="default", layer_draws={"default": 8})
WORDS = "is not admissible (accuracy text -5.0 [-7.0, -3.0] points, limit -1.0)"


def quality(*rows: tuple[str, str, float, float, float]) -> pd.DataFrame:
    """Changes of accuracy: subject, metric, change and its ends."""
    tail = (Evidence.MEASURED, None, "host", True)
    return QUALITY.frame([(Bench.FLEET, s, m, 512, 0.9, 0.9 + c, c, lo, hi, *tail) for s, m, c, lo, hi in rows])


def results(*rows: tuple[str, str, float, float, float], limit: float | None = -0.01) -> Analysis:
    """Energy of a stack that saves 40 % by its first layer; the second has one technique, which is off and saves 20 %."""
    head = (Bench.FLEET, OperatingPoint.AT_CAPACITY, 0, Component.FFN, Resource.ENERGY_J)
    tail = (Evidence.SIMULATED, None, "host", True)
    alone = [("pipeline", "all", *head, 1.0, 1.0, *tail), ("pipeline", "encoder_pool", *head, 1.0, 0.8, *tail)]
    return compute(
        stack=STACK,
        workload={"words": "a test", "source": "a test", "dropped_rows": 0, "text_only_share": 0.5},
        baseline=USAGE.empty(),
        deltas={"pipeline/fleet": DELTA.frame(alone)},
        joint={Bench.FLEET: joint(FACTORS, sd_log=0.01).assign(operating_point=str(OperatingPoint.AT_CAPACITY))},
        quality_table=quality(*rows) if rows else None,
        quality_limit=limit,
    )


LOST = ("accuracy_text", -0.05, -0.07, -0.03)


def test_a_stack_that_loses_answers_says_so_in_the_sentence_at_the_run_s_end_and_on_the_page() -> None:
    """40 % saved at 5 points of accuracy: sentence, first line of the run's end and the page's totals say not admissible."""
    made = results(("pipeline+storage", *LOST))

    assert "saves 40.0 % (range of 8 draws: 40.0 to 40.0) of energy" in wording(made)["headline"][0]
    assert f", but {WORDS};" in wording(made)["headline"][0]
    assert WORDS in summary_lines(wording(made))[1]
    assert WORDS in html(made, {})


def test_a_layer_a_technique_that_is_off_and_a_target_say_so() -> None:
    """The layer alone "but is not", the technique that is off "which is not", the best set of a target, and the joint cell."""
    made = results(("storage", *LOST), ("pipeline/encoder_pool", *LOST))
    lines = "\n".join(summary_lines(wording(made)))

    assert re.search(r"  storage .* !", lines)
    assert "disabled" in lines
    assert f"encoder_pool, which {WORDS}, would save 20.0 %" in html(made, {})
    assert "energy reached (+6.7 points)\n" in lines
    assert [t["best_unfit"] for t in wording(made)["targets"]] == [WORDS, WORDS]
    assert html(made, {}).count(f"best of 3</span><br><strong>{WORDS}</strong>") == 2  # a third of the energy, and half of it
    both = results(("pipeline+storage", *LOST))
    assert f"energy reached (+6.7 points), but all together {WORDS}" in "\n".join(summary_lines(wording(both)))


@pytest.mark.parametrize(
    ("rows", "limit"),
    [
        ((), -0.01),
        ((("storage", *LOST),), None),
        ((("storage", *LOST),), -0.04),
        ((("storage", "accuracy_text", -0.02, -0.04, 0.0),), -0.01),
        ((("storage", "divergence_nat", -5.0, -6.0, -4.0),), -0.01),
    ],
)
def test_what_is_not_sure_is_not_said(rows: tuple[tuple[str, str, float, float, float], ...], limit: float | None) -> None:
    """Nobody looked, no limit, an interval that reaches back above it, and metrics without a limit: no objection."""
    assert unfit(results(*rows).quality, Bench.FLEET, "storage", limit) is None


def test_an_accuracy_that_is_surely_lost_is_not_hidden_by_one_that_is_badly_known() -> None:
    """Image -3 [-4, -2] is beyond the limit; text -2 [-6, +2] has the lower end and cannot be told: not admissible."""
    made = results(
        ("pipeline+storage", "accuracy_image", -0.03, -0.04, -0.02), ("pipeline+storage", "accuracy_text", -0.02, -0.06, 0.02)
    )

    found = worst_reading(made.quality, Bench.FLEET, "pipeline+storage", -0.01)
    assert found is not None
    assert found.metric == "accuracy_image"
    assert "NOT ADMISSIBLE" in admissible(made)[0]
