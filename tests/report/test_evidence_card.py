"""The evidence card: one maker, three places that show it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from markupsafe import escape

from deltastack.analysis.factorial import Missing
from deltastack.model import Bench, Evidence, OperatingPoint, Resource
from deltastack.report import card_markdown, escaped, metrics, wording
from deltastack.report.html.page import html
from deltastack.report.text.evidence_card import admissible, card, evidence
from tests.analysis.test_noise_floor import LOUD
from tests.analysis.test_noise_floor import results as measured
from tests.report.test_page import results


def test_the_card_says_what_is_on_where_and_how_it_is_known() -> None:
    """Worked by hand from the planted stack of three layers, one simulated bench on two bases, 95 % and 2 points."""
    made = replace(results(), deployment_text="a model in bf16 on 2 replicas of a card")
    rows = dict(card(made))

    assert rows["Layers"] == ["storage, pipeline, idle"]
    assert rows["Workload"] == ["3 requests over 6.2 s"]
    assert rows["Workload source"] == ["a <test> & no trace"]
    assert rows["Machine"] == ["fleet: host of a model in bf16 on 2 replicas of a card"]
    assert rows["Evidence"] == ["fleet, at trace and at capacity: simulated (energy)"]
    (drawn,) = rows["Intervals"]
    assert drawn.startswith("fleet: the range of 20 draws of the model's parameter ranges,")
    assert drawn.endswith("; it holds a further draw in 90 % of cases")
    assert "inside ±2.0 points" in rows["A formula holds if"][0]
    assert rows["Canonical"] == ["yes: default effort, whose numbers may be quoted"]


@pytest.mark.parametrize(
    ("starts", "says"), [(1, "of one process start: what a new start changes is not in them"), (2, "process starts where")]
)
def test_intervals_of_one_process_start_say_so(starts: int, says: str) -> None:
    """Blocks of one start cannot show how starts differ: the card and the first sentence say that it was one."""
    made = measured(LOUD)
    found = []
    for a in made.factorials:
        f = a.factorial
        found.append(replace(a, factorial=replace(f, starts=tuple(n % starts for n in range(f.amounts.shape[-1])))))
    made = replace(made, factorials=tuple(found))

    assert says in dict(card(made))["Intervals"][0]
    assert ("one process start" in wording(made)["headline"][0]) is (starts == 1)


def test_the_techniques_that_are_on_stand_under_their_layer() -> None:
    """One line a layer; benches that switch the same share a name list, a layer with nothing on says so."""
    on = {
        "storage": {Bench.FLEET: ("zns", "kv_tier"), Bench.TESTBED: ("block_alignment",)},
        "pipeline": {Bench.FLEET: (), Bench.TESTBED: ("attention_ffn",)},
        "idle": {Bench.FLEET: ("encoder_skip",), Bench.TESTBED: ("encoder_skip",)},
    }

    assert dict(card(replace(results(), enabled_techniques=on)))["Techniques enabled"] == [
        "storage: zns, kv tier (fleet); block alignment (testbed)",
        "pipeline: nothing (fleet); attention ffn (testbed)",
        "idle: encoder skip (fleet and testbed)",
    ]


def test_what_nobody_read_is_not_called_measured() -> None:
    """A resource without a reading stands on a line of its own; one that is known otherwise on one basis is not merged."""
    made = results()
    gone = Missing(
        bench=Bench.TESTBED,
        operating_point=OperatingPoint.PER_SESSION,
        resource=Resource.INSTRUCTIONS,
        evidence=Evidence.MEASURED,
        canonical=True,
        reason="no counter",
    )
    weaker = tuple(
        replace(a, factorial=replace(a.factorial, evidence=Evidence.ASSUMED))
        if a.factorial.operating_point is OperatingPoint.AT_TRACE
        else a
        for a in made.factorials
    )

    assert evidence(replace(made, missing=(gone,)))[-1] == "testbed, per session: not read (instructions)"
    assert evidence(replace(made, factorials=weaker)) == [
        "fleet, at trace: assumed (energy)",
        "fleet, at capacity: simulated (energy)",
    ]


@pytest.mark.parametrize("effort", ["default", "quick"])
def test_the_verdict_leads_and_the_lines_are_few(effort: str) -> None:
    """Seven to fifteen lines of Markdown: a quick run's warning, the verdict, then the rows; no other line is bold whole."""
    made = results(effort=effort)
    said = wording(made)
    lines = [line for line in card_markdown(said) if line]

    assert 7 <= len(lines) <= 15
    assert lines[effort == "quick"] == f"**{escaped(said['headline'][0])}**"
    assert ("NOT CANONICAL" in lines[0]) is (effort == "quick")
    quoted = "yes: default effort, whose numbers may" if effort == "default" else "no: quick effort, whose numbers may not"
    assert lines[-1] == f"- **Canonical:** {quoted} be quoted"


def test_the_page_shows_the_very_rows() -> None:
    """Every row of the card stands on the page, foreign text escaped."""
    made = results()
    page = html(made, {})

    for name, lines in card(made):
        shown = "<br>".join(escape(line) for line in lines)
        assert f"<dt>{name}</dt><dd>{shown}</dd>" in page


def test_a_measured_bench_says_its_noise_floor_or_that_it_has_none() -> None:
    """The number of metrics.json in words; without a twin that is said, and a simulation says nothing of noise."""
    most = metrics(measured(LOUD))["aa_noise_floor"]["testbed"]["cpu_s"]

    told = [f"testbed: two equal cells (A/A) seem to differ by up to {100 * most:.1f} % of CPU time"]
    assert dict(card(measured(LOUD)))["Noise floor"] == told
    assert dict(card(measured(None)))["Noise floor"] == ["testbed: two equal cells were not run"]
    assert "Noise floor" not in dict(card(results()))


def test_quality_is_on_the_card() -> None:
    """With a limit the card and the page say the same of quality; without one the card has no such row."""
    limited = replace(results(), quality_limit=-0.01)
    row = dict(card(limited))["Quality"]

    assert row == admissible(limited)
    assert "the quality of the whole stack was not measured" in row[0]
    assert "- **Quality:** fleet: the quality" in "\n".join(card_markdown(wording(limited)))
    assert "Quality" not in dict(card(results()))


def test_an_interval_is_no_link() -> None:
    """Brackets and what else Markdown would read are escaped, in verdicts, rows and the lines of the layers alike."""
    said = {"headline": ["saves 5 % [1 %, 9 %] (fleet)."], "canonical": True, "card": [["Answers", ["by 1 % [0 %] (measured)."]]]}

    assert card_markdown(said) == [
        r"**saves 5 % \[1 %, 9 %\] (fleet).**",
        "",
        r"- **Answers:** by 1 % \[0 %\] (measured)",
    ]
