"""The page, the metrics and the last lines: names, sentences, losses first, nothing fetched, null never zero."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from deltastack import importers, params
from deltastack.analysis.analysis import compute
from deltastack.analysis.history import PastRun
from deltastack.claims import Claims, judge
from deltastack.composition import read_published
from deltastack.contracts import DELTA, QUALITY, USAGE
from deltastack.errors import EvidenceError
from deltastack.model import Bench, Component, Evidence, OperatingPoint, Resource
from deltastack.outcomes import Resolution
from deltastack.report import layers, metrics, summary_lines, wording
from deltastack.report.context import ReportContext, Swing
from deltastack.report.figures import figures
from deltastack.report.html.page import claims as claims_page
from deltastack.report.html.page import html, png, svg
from deltastack.report.text.evidence_card import admissible
from deltastack.stack import Stack
from tests.report.synthetic import BASE, WHOLE, joint

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis

LOSS = dict.fromkeys(Component, 1.25)
LAYERS = {"storage": WHOLE, "pipeline": LOSS, "idle": {Component.ENCODER: 0.5}}
MLFLOW_NAME = re.compile(r"^[\w./ :-]+$")


def results(effort: str = "default", text_only_share: float = 0.52, layers: Any = LAYERS, **planted: Any) -> Analysis:
    """A fleet factorial at capacity and at trace, with a baseline and a described workload."""
    at_trace = joint(layers, {("storage", "pipeline"): 0.1}, samples=20, sd_log=0.05, **planted)
    at_capacity = at_trace.assign(operating_point=str(OperatingPoint.AT_CAPACITY))
    rows = [
        ("fleet", b, 0, c, Resource.ENERGY_J, v, Evidence.SIMULATED, None, "simulation", True)
        for b in (OperatingPoint.AT_TRACE, OperatingPoint.AT_CAPACITY)
        for c, v in BASE.items()
    ]
    return compute(
        stack=Stack(layers=tuple(layers), tolerance=0.02, confidence=0.95, effort=effort),
        workload={
            "words": "3 requests over 6.2 s",
            "source": "a <test> & no trace",
            "dropped_rows": 0,
            "text_only_share": text_only_share,
        },
        baseline=USAGE.frame(rows),
        deltas={},
        joint={Bench.FLEET: pd.concat([at_trace, at_capacity], ignore_index=True)},
    )


def remade(made: Analysis, **tables: Any) -> Analysis:
    """The same tables with others beside them."""
    given = {"deltas": made.tables.deltas, "joint": made.tables.joint, **tables}
    return compute(stack=made.stack, workload=made.workload, baseline=made.tables.baseline, **given)


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted names."""
    found: dict[str, Any] = {}
    for k, v in tree.items():
        found |= flat(v, f"{prefix}{k}.") if isinstance(v, dict) else {f"{prefix}{k}": v}
    return found


def test_metric_names_are_the_designs() -> None:
    """The names of the design are there, every name is legal for MLflow, every number is finite."""
    found = flat(metrics(results()))

    for name in (
        "delta_total.fleet.energy_j.joint",
        "delta_total.fleet.energy_j.independent.lo",
        "delta_total.fleet_at_trace.energy_j.joint",
        "gap.fleet.energy_j.by_component",
        "layer/idle/delta.fleet.energy_j",
        "shapley/storage.fleet.energy_j",
    ):
        assert name in found
    assert all(MLFLOW_NAME.match(n) for n in found)
    assert all(np.isfinite(v) for v in found.values() if isinstance(v, float))
    json.dumps(found, allow_nan=False)


def test_the_numbers_are_the_planted_ones() -> None:
    """Alone the loss is -25 %; the joint is 1 - (0.4 + 0.5 + 0.05) x 0.8 x 1.25 e^0.1."""
    found = flat(metrics(results()))

    assert found["layer/pipeline/delta.fleet.energy_j"] == pytest.approx(-0.25)
    assert found["delta_total.fleet.energy_j.joint"] == pytest.approx(1 - 0.95 * 0.8 * 1.25 * np.exp(0.1))


def test_a_missing_reading_is_no_metric() -> None:
    """A resource without amounts has no number anywhere, and its reason is on the page."""
    frame = joint(LAYERS, samples=3)
    frame["amount"] = np.nan
    frame["reason"] = "no counter on this machine"
    made = compute(
        stack=Stack(layers=tuple(LAYERS), tolerance=0.02, confidence=0.95, effort="default"),
        workload=dict(results().workload),
        baseline=results().tables.baseline,
        deltas={},
        joint={Bench.FLEET: frame},
    )

    assert not any("energy_j" in n for n in flat(metrics(made)))
    assert "no counter on this machine" in html(made, {})


def test_the_loss_stands_first_and_is_called_a_loss() -> None:
    """The layer that loses leads the table on the page and in the terminal."""
    made = results()
    lines = summary_lines(wording(made))
    page = html(made, {})

    table = lines[lines.index(next(x for x in lines if x.startswith("each layer"))) + 1 :]
    assert table[0].split()[:2] == ["pipeline", "-25.0"]
    assert page.index("<td>pipeline</td>") < page.index("<td>storage</td>")
    assert 'class="loss"' in page


def test_the_verdict_names_basis_evidence_and_gap() -> None:
    """Product 1 - 0.95 x 0.8 x 1.25 = +5.0 %, joint -5.0 %: the gap is +10.0 points and the product fails."""
    sentence = wording(results())["headline"][0]

    assert "storage + pipeline + idle costs 5.0 % (range of 20 draws: 5.0 to 5.0) of energy per request, at full load" in sentence
    assert "fleet bench, simulated" in sentence
    assert "predicts +5.0 %, a gap of +10.0 points (range of 20 draws: +10.0 to +10.0): the product rule fails" in sentence


def test_a_text_only_trace_is_told_in_words() -> None:
    """The encoder had nothing to do: on the page and in the last lines; not said where there are images."""
    words = "the encoder had nothing to do"

    assert words in html(results(text_only_share=1.0), {})
    lines = summary_lines(wording(results(text_only_share=1.0)))
    first_layer = next(i for i, line in enumerate(lines) if line.startswith("each layer"))
    assert any(words in line for line in lines[:first_layer])
    assert words not in html(results(), {})


def test_a_quick_run_is_marked_everywhere() -> None:
    """Not canonical in metrics, on the page and first in the last lines."""
    quick = results(effort="quick")

    assert metrics(quick)["canonical"] is False
    assert "NOT CANONICAL" in html(quick, {})
    assert "NOT CANONICAL" in summary_lines(wording(quick))[0]
    assert "NOT CANONICAL" not in html(results(), {})


def test_the_page_stands_alone() -> None:
    """Under 2 MB, one script of its own, nothing fetched, foreign text escaped, figures inline."""
    page = html(results(), {"Commit": "abc"})

    assert len(page.encode()) < 2_000_000
    assert not re.search(r"<link|<iframe|@import|src=|url\((?!#)|fetch\(|XMLHttp|import\(", page)
    assert page.count("<script") == 1
    assert set(re.findall(r'href="(?!#)([^"]*)', page.replace('xlink:href="#', ""))) == {"claims.html", "glossary.html"}
    assert "a &lt;test&gt; &amp; no trace" in page
    assert page.count("<svg") == len(figures(results()))
    assert "abc" in page


def test_every_figure_draws_and_carries_its_rows() -> None:
    """SVG and PNG come out without a browser; rows are there for the CSV."""
    names = set()
    for figure in figures(results()):
        names.add(figure.name)
        assert svg(figure).startswith("<svg")
        assert png(svg(figure)).startswith(b"\x89PNG")
        assert len(figure.rows)

    operating_points = ("at_trace", "at_capacity")
    assert names == {f"{n}-fleet-{b}" for n in ("waterfall", "forest", "interactions", "anatomy") for b in operating_points} | {
        "predicted",
        "dumbbell",
    }


def test_the_waterfall_sums() -> None:
    """Base, single savings and the interaction end exactly at the joint; the loss goes up."""
    rows = next(f for f in figures(results()) if f.name == "waterfall-fleet-at_capacity").rows.set_index("step")

    assert rows.loc["interaction", "to"] == pytest.approx(rows.loc["joint", "to"])
    assert rows.loc["pipeline", "to"] - rows.loc["pipeline", "from"] == pytest.approx(25.0)
    steps = rows.drop(["base", "joint"])
    assert 100 + (steps["to"] - steps["from"]).sum() == pytest.approx(rows.loc["joint", "to"])


def test_the_forest_shows_losses_first() -> None:
    """Alone: pipeline -25 %, idle and storage save; the picture has the layers in the order of that reading."""
    rows = next(f for f in figures(results()) if f.name == "forest-fleet-at_capacity").rows
    alone = rows[rows["reading"] == "alone"]

    assert next(iter(alone["layer"])) == "pipeline"
    assert list(alone["delta"]) == sorted(alone["delta"])


def test_a_swing_is_told_from_its_central_value() -> None:
    """Central 20 %, ends 10 % and 30 %: 10 points down, 10 up; the rows keep the Δ themselves."""
    swing = Swing("idle", "sleep", "wake_s", "fleet", "at_capacity", "energy_j", 0.1, 0.3, 0.2, None)
    (row,) = next(f for f in figures(results(), (swing,)) if f.name.startswith("tornado")).rows.to_dict("records")

    assert (row["low"], row["high"]) == pytest.approx((10.0, 30.0))
    assert (row["from"], row["to"]) == pytest.approx((-10.0, 10.0))
    assert row["parameter"] == "idle / sleep: wake s (Δ +20.0 %)"


def test_one_layer_says_that_there_is_nothing_to_compose() -> None:
    """A stack of one layer claims no composition."""
    one = results(layers={"idle": WHOLE})

    assert "there is nothing to compose" in wording(one)["headline"][0]
    assert len(summary_lines(wording(one))) <= 15


def test_the_page_shows_what_stands_beside_the_results() -> None:
    """Claims with their command, the pair that composes for memory and not for time, the loud n = 1, curves, a fleet's year."""
    root = Path(__file__).parents[2]
    cases = read_published(root / "params/published_compositions.yaml")
    claims = params.load(root / "params/claims.yaml", Claims).claims
    made = results()
    said: dict[str, Any] = {"tool": "AIPerf", "conditions": {}, "source": "a.json", "identity": "a"}
    runs = [importers.Run(amounts={"time_per_request_s": s}, **said) for s in (2.0, 1.0)]
    name = "delta_total.fleet.energy_j.joint"
    swing = Swing("idle", "sleep", "wake_s", "fleet", "at_capacity", "energy_j", 0.1, 0.3, 0.2, None)
    more = ReportContext(
        findings=judge(claims, cases, made, tolerance=0.02),
        cases=cases,
        imported=tuple(importers.savings(importers.table("fp8", runs[:1], runs[1:]), 0.95)),
        history=tuple(PastRun(f"2026-11-1{i}", canonical=True, metrics={name: 0.1 * i}) for i in range(3)),
        swings=(swing,),
    )
    page = html(made, {}, context=more)
    text = claims_page(made, more)

    assert "throughput" in text
    row = text[text.index("modelopt-nemotron3-nano-throughput <span") :]
    assert row.index("-77.3 %") < row.index("-62.1 %") < row.index("+15.2 points") < row.index(">fails<")
    row = row[row.index("modelopt-nemotron3-nano-memory <span") :]
    assert row.index("-62.4 %") < row.index("-61.3 %") < row.index("+1.1 points") < row.index(">holds<")
    assert "composes for model loading memory and not for time per output token" in text
    assert "deltastack claims check zns-40" in text
    assert "n = 1: NO INTERVAL" in page
    assert "<polyline" in page
    assert 'id="tornado-fleet-at_capacity"' in page
    assert 'id="interactions-fleet-at_capacity"' in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((0.0, -0.005, 0.005), ": admissible."),
        ((-0.03, -0.04, -0.02), "changes by -3.0 points [-4.0, -2.0] (published), limit -1.0 points: NOT ADMISSIBLE."),
        ((-0.01, -0.02, 0.0), ": undecided."),
    ],
)
def test_quality_of_the_whole_stack_stands_beside_its_saving(change: tuple[float, float, float], said: str) -> None:
    """The interval of the accuracy against the limit of one point: inside, outside, across; nobody looked is not inside."""
    row = (Bench.FLEET, "idle+pipeline+storage", "accuracy", 100, 0.9, 0.9, *change, Evidence.PUBLISHED, None, "host", True)
    made = replace(remade(results(), quality_table=QUALITY.frame([row])), quality_limit=-0.01)

    (sentence,) = admissible(made)
    assert said in sentence
    assert flat(metrics(made))["quality/accuracy.fleet"] == change[0]
    assert "was not measured" in admissible(replace(results(), quality_limit=-0.01))[0]


def _with_pipeline_off(rows: list[tuple[Any, ...]]) -> Analysis:
    """A stack whose layer ``pipeline`` changes nothing, beside Δ rows (technique, replicate, base, optimized) of that layer."""
    made = results(layers=LAYERS | {"pipeline": {}})
    tail = (Evidence.SIMULATED, None, "simulation", True)
    head = ("pipeline", "fleet", OperatingPoint.AT_CAPACITY, Component.FFN, Resource.ENERGY_J)
    layer, bench, operating_point, component, resource = head
    table = [(layer, name, bench, operating_point, n, component, resource, base, opt, *tail) for name, n, base, opt in rows]
    return remade(made, deltas={"pipeline/fleet": DELTA.frame(table)})


def test_a_layer_that_is_off_says_what_it_would_do() -> None:
    """Attention apart: 25 J instead of 10 (loses 150 %), encoders 9, and 90 in a further draw: losses lead, ends beside them."""
    made = _with_pipeline_off(
        [
            ("all", 0, 10.0, 10.0),
            ("attention_ffn", 0, 10.0, 25.0),
            ("attention_ffn@other_base", 0, 10.0, 99.0),
            ("encoder_pool", 0, 10.0, 9.0),
            ("encoder_pool", 1, 10.0, 90.0),
        ]
    )
    told = "attention_ffn would cost 150.0 %, encoder_pool would save 10.0 % (range of 2 draws: -800.0 to +10.0)"
    (line,) = [line for line in summary_lines(wording(made)) if line.startswith("  pipeline")]

    assert line.split() == ["pipeline", "disabled", "0"]
    assert f"disabled here: {told}" in html(made, {})


def test_a_layer_that_is_on_is_not_called_off() -> None:
    """Where ``all`` differs from the base in any draw, the layer is on, whatever its central Δ is."""
    made = _with_pipeline_off([("all", 0, 10.0, 10.5), ("attention_ffn", 0, 10.0, 25.0)])

    assert all("disabled" not in line for line in summary_lines(wording(made)))


@pytest.mark.parametrize(
    ("delta", "resolution", "shown"),
    [
        (-0.01, Resolution.NOT_RESOLVED, "-1.0 % [-2.0, 0.0] ~"),
        (-0.05, Resolution.COSTS, "-5.0 % [-6.0, -4.0]"),
        (0.05, Resolution.SAVES, "+5.0 % [+4.0, +6.0]"),
        (0.0, Resolution.NO_CHANGE, "0"),
        (-30.0, Resolution.COSTS, "31 times as much"),
    ],
)
def test_the_layer_table_has_one_sign_convention(delta: float, resolution: Resolution, shown: str) -> None:
    """Above 0 is saved, below 0 costs; what is not resolved has a mark."""
    said = wording(results())
    row = said["table"][0] | {"layer": "idle", "delta": delta, "lo": delta - 0.01, "hi": delta + 0.01}
    said["table"] = [row | {"resolution": resolution, "disabled": [], "caveat": None, "draws": None}]

    assert shown in layers(said)[1]


def test_a_summary_of_another_version_is_refused() -> None:
    """What an older version wrote is named with what to do."""
    with pytest.raises(EvidenceError, match=r"summary\.json has schema 1, wanted 4: dvc repro aggregate"):
        summary_lines({"headline": []})


def test_targets_name_their_bench() -> None:
    """Two benches answer apart."""
    said = wording(results())

    assert any(
        line.startswith("target 50 % more work per resource") and ": fleet energy " in line for line in summary_lines(said)
    )


def test_the_terminal_keeps_ranges_of_draws_out_of_brackets() -> None:
    """An interval of confidence stands in brackets, a range of draws in parentheses; the head says which is which."""
    said = wording(results())
    rows = [{**r, "lo": 0.1, "hi": 0.2, "gap_lo": 0.0, "gap_hi": 0.1, "delta": 0.15} for r in said["totals"][:1]]

    drawn, known = (summary_lines({**said, "totals": [{**rows[0], "draws": n}], "table": []})[:2] for n in (20, None))
    assert "(+10.0 to +20.0)" in drawn[1]
    assert "[" not in drawn[1]
    assert "[+10.0, +20.0]" in known[1]
    assert "[95 %] (draws)" in drawn[0]
