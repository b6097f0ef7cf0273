"""A stack that serves late: its saving is never named without saying so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from deltastack.analysis.analysis import Analysis, compute
from deltastack.analysis.slo import SloViolation, describe, violations
from deltastack.contracts import DELTA, USAGE
from deltastack.errors import EvidenceError
from deltastack.model import Bench, Component, Evidence, OperatingPoint, Resource
from deltastack.report import wording
from deltastack.report.html.page import html
from deltastack.report.text.terminal import summary_lines
from deltastack.stack import Stack
from tasks import results as task
from tests.report.project import finished
from tests.report.synthetic import joint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FACTORS = {"storage": dict.fromkeys(Component, 0.8), "pipeline": dict.fromkeys(Component, 1.0)}
STACK = Stack(layers=tuple(FACTORS), tolerance=0.02, confidence=0.95, effort="default", layer_draws={"default": 8})
WHOLE = SloViolation(Bench.FLEET, OperatingPoint.AT_TRACE, "pipeline+storage", 8, 8, "TTFT p99 250 s > 3 s")
TECHNIQUE = SloViolation(Bench.FLEET, OperatingPoint.AT_TRACE, "pipeline/encoder_pool", 3, 8, "TTFT p99 9 s > 3 s")


def results(found: Sequence[SloViolation]) -> Analysis:
    """Results of a planted factorial at the trace whose second layer has one technique, which is off and saves 20 %."""
    head = (Bench.FLEET, OperatingPoint.AT_TRACE, 0, Component.FFN, Resource.ENERGY_J)
    tail = (Evidence.SIMULATED, None, "host", True)
    alone = [("pipeline", "all", *head, 1.0, 1.0, *tail), ("pipeline", "encoder_pool", *head, 1.0, 0.8, *tail)]
    return compute(
        stack=STACK,
        workload={"words": "a test", "text_only_share": 0.5},
        baseline=USAGE.empty(),
        deltas={"pipeline/fleet": DELTA.frame(alone)},
        joint={Bench.FLEET: joint(FACTORS, sd_log=0.01)},
        slo_violations=found,
    )


def test_a_saving_of_a_late_stack_says_so_in_the_sentence_and_in_the_total() -> None:
    """20 % saved by serving 250 s late: the sentence has "but misses", and so has the reason of the truth in TOTAL."""
    told = results([WHOLE])
    sentence, total = wording(told)["other_operating_points"][0], told.total

    assert "saves 20.0 % (range of 8 draws: 20.0 to 20.0) of energy" in sentence
    assert "but violates the SLO (TTFT p99 250 s > 3 s)" in sentence
    truth = total[total["formula"] == "joint"].iloc[0]
    assert truth["reason"] == "violates the SLO (TTFT p99 250 s > 3 s)"
    assert truth["delta"] == pytest.approx(0.2)


def test_a_stack_in_time_says_nothing() -> None:
    """Without a missed goal neither the sentence nor the total speaks of goals that are missed."""
    told = results([])

    assert "violates" not in wording(told)["other_operating_points"][0]
    assert told.total.set_index("formula")["reason"].isna()["joint"]
    assert not told.total["reason"].str.contains("violates").any()


def test_a_late_layer_and_a_late_technique_that_is_off_say_so_at_the_run_s_end() -> None:
    """The line of the layer alone has "but misses"; the technique that is off would save, "which misses"."""
    alone = WHOLE._replace(subject="storage")
    lines = "\n".join(summary_lines(wording(results([alone, TECHNIQUE]))))

    assert re.search(r"  storage .* !", lines)
    page = html(results([alone, TECHNIQUE]), {})
    assert "encoder_pool, which violates the SLO in 3 of 8 draws (TTFT p99 9 s &gt; 3 s), would save 20.0 %" in page


def test_the_page_shows_it_beside_both_numbers() -> None:
    """The page's tables of layers and of totals have what is missed, in bold beside the saving."""
    page = html(results([WHOLE, WHOLE._replace(subject="storage")]), {})

    assert page.count("<strong>violates the SLO (TTFT p99 250 s &gt; 3 s)</strong>") == 2
    assert "violates the SLO" not in html(results([]), {})


def test_a_base_that_is_late_itself_is_named() -> None:
    """A stack is not blamed for what the base misses too."""
    base = WHOLE._replace(subject="base")

    assert describe([WHOLE, base], Bench.FLEET, OperatingPoint.AT_TRACE, "pipeline+storage") == (
        "violates the SLO (TTFT p99 250 s > 3 s), as the base does"
    )


def test_what_the_stages_wrote_is_read(tmp_path: Path) -> None:
    """``goals`` of the factorial and of a layer's table arrive in the results; tables without them miss nothing."""
    root = finished(tmp_path / "a")
    assert task.load(root).slo_violations == ()

    entry = '{"goals": [{"cell": "%s", "operating_point": "at_trace", "draws": 1, "of": 5, "words": "TTFT p99 4 s > 3 s"}]}'
    (root / "data/joint/assistant.json").write_text(entry % "storage+idle")
    (root / "data/delta/estimated/assistant/idle.json").write_text(entry % "encoder_sleep")
    assert [x.subject for x in task.load(root).slo_violations] == ["storage+idle", "idle/encoder_sleep"]


def test_goals_that_are_none_are_refused() -> None:
    """An entry without a basis names the file and the remedy."""
    with pytest.raises(
        EvidenceError, match=r"fleet\.json: 'goals' holds entries of another form .*: dvc repro the stage that writes it"
    ):
        violations({"goals": [{"cell": "idle"}]}, Bench.FLEET, "fleet.json")
