"""The last lines of a run: the first screen's words and numbers, 12 lines of 80 columns, and no word to look up."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.outcomes import Verdict
from deltastack.report import closing_lines, wording
from deltastack.report.html.first_screen import first_screen
from deltastack.report.text.closing import MOST_LINES, NEXT, WIDTH
from tasks.aggregate import _screen
from tests.report.test_first_screen import JARGON
from tests.report.test_page import results

SCENE = {"scene": "experts", "operating_point": "at_capacity", "gap": 0.031, "verdict": "fails", "joint": {"delta": 0.2}}


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """What reports/summary.json has of the planted results."""
    made = results()
    return wording(made) | {"screen": _screen(made), "scenes": []}


def test_they_say_what_the_first_screen_says(said: dict[str, Any]) -> None:
    """The decision, a line a card with its verdict, a line a layer with its advice, the next command."""
    screen = first_screen(results())
    lines = closing_lines(said)

    assert lines[0] == screen.decision
    totals = lines[2 : 2 + len(screen.cards)]
    assert [line.split("  ")[1] for line in totals] == ["energy, full load", "energy, today's load"]
    assert all(line.endswith("wrong 0/20") for line in totals)
    layers = lines[3 + len(screen.cards) : -1]
    assert [line.split("  ")[1] for line in layers] == [r.layer for r in screen.rows]
    assert lines[-1] == NEXT


def test_no_word_of_the_trade_stands_there(said: dict[str, Any]) -> None:
    """The list is that of the first screen."""
    text = "\n".join(closing_lines(said))

    assert [w for w in JARGON if re.search(rf"(?<!\w){re.escape(w)}(?!\w)", text)] == []


@given(st.integers(1, 20), st.integers(1, 12), st.sampled_from(list(Verdict)))
def test_never_more_than_twelve_lines_of_eighty_columns(
    said: dict[str, Any], layers: int, letters: int, verdict: Verdict
) -> None:
    """However many layers there are and whatever the verdict; a long decision goes on in the next line."""
    rows = [
        {"layer": "l" * letters, "cells": ["cannot tell yet"] * 2, "advice": "on when the fleet is not full; check latency"}
    ] * layers
    screen = said["screen"] | {"rows": rows, "decision": "Switch on " + ", ".join(["l" * letters] * layers) + "."}
    totals = [t | {"verdict": str(verdict)} for t in said["totals"]]
    lines = closing_lines(said | {"screen": screen, "totals": totals, "canonical": False})

    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= WIDTH


def test_the_columns_are_what_they_say(said: dict[str, Any]) -> None:
    """Predicted before together, each of its own number; the first line says that it is simulated."""
    shown = [said["totals"][0] | {"product": 0.5, "delta": 0.25, "lo": None, "gap": 0.25}]
    lines = closing_lines(said | {"totals": shown, "screen": said["screen"] | {"places": ["one"], "rows": []}})

    assert lines[1].startswith("all together (simulated)")
    assert lines[2].split()[3:7] == ["+50.0", "%", "+25.0", "%"]


def test_what_does_not_fit_is_counted(said: dict[str, Any]) -> None:
    """Nothing is dropped in silence: of 20 layers those that fit, and how many lines are left."""
    rows = said["screen"]["rows"][:1] * 20
    lines = closing_lines(said | {"screen": said["screen"] | {"rows": rows}})
    whole = len(lines) - 1 - (1 + 1 + len(said["totals"]) + 1)

    assert lines[-1] == f"... and {20 - whole} more lines: deltastack run --verbose"


def test_several_scenes_take_the_place_of_the_layers(said: dict[str, Any]) -> None:
    """One line a scene and load, with the product's gap in words; the layers are on the page."""
    lines = closing_lines(said | {"scenes": [SCENE, SCENE | {"scene": "assistant", "gap": None, "verdict": None}]})

    assert "experts, full load     energy +20.0 % together; product wrong (gap +3.1 points)" in lines
    assert not any(line.startswith("each layer alone") for line in lines)


def test_a_result_that_is_missing_is_said(said: dict[str, Any]) -> None:
    """No number is made up where the whole stack was not run."""
    nothing = dict.fromkeys(("delta", "lo", "hi", "gap", "gap_lo", "gap_hi"))
    lines = closing_lines(said | {"totals": [t | nothing for t in said["totals"]]})

    assert [line.split()[-2:] for line in lines[2:4]] == [["no", "result"]] * 2
