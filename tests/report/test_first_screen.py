"""The first screen: the decision, cards, layers with advice, trust; plain words only."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest
import vl_convert

from deltastack.outcomes import Resolution, Verdict
from deltastack.report.figures.dumbbell import TOO_MUCH, _chart, dumbbell
from deltastack.report.html.first_screen import PILL, FirstScreen, _cell, first_screen, saves
from deltastack.report.html.page import html
from tests.report.test_page import LAYERS, results

JARGON = (
    "Shapley",
    "leave-one-out",
    "main effect",
    "order range",
    "canonical",
    "SLO",
    "A/A",
    "twin",
    "jackknife",
    "pp",
    "Δ",
    "at capacity",
    "at trace",
    "independent",
    "by component",
    "pairwise",
)
"""Words that a newcomer did not know; they stand below the folds, where they are explained."""


@pytest.fixture(scope="module")
def screen() -> FirstScreen:
    """Of the planted results: idle and storage save, pipeline costs 25 %."""
    return first_screen(results())


def test_the_decision_follows_the_layers(screen: FirstScreen) -> None:
    """What saves is switched on, what costs is left off."""
    advice = {r.layer: r.advice for r in screen.rows}
    assert advice["pipeline"] == "off"
    assert all(advice[x].startswith("on") for x in ("idle", "storage"))
    assert screen.decision == "Switch on storage and idle (2 of 3 layers); leave pipeline off."


def test_cards_say_number_range_spreadsheet_and_verdict(screen: FirstScreen) -> None:
    """One card a load; the pill is the verdict's, and of draws it tells in how many the spreadsheet is right."""
    assert [c.title.split(", ")[1] for c in screen.cards] == ["at full load", "at today's load"]
    assert all(c.number.startswith(("saves", "costs", "no change", "cannot tell")) for c in screen.cards)
    assert all("range of" in c.ends for c in screen.cards)
    assert {c.pill for c in screen.cards} == {"✗ the spreadsheet is right in 0 of 20 draws"}


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_has_a_pill(verdict: Verdict) -> None:
    """Also those that a later release adds."""
    tone, words = PILL[verdict]
    assert tone in {"good", "bad", "warn"}
    assert words


def test_what_cannot_be_told_is_not_called_a_saving() -> None:
    """A result that is not resolved has no number on its card."""
    made = results()
    unknown = tuple(replace(a, resolution=Resolution.NOT_RESOLVED) for a in made.factorials)
    assert {c.number for c in first_screen(replace(made, factorials=unknown)).cards} == {"cannot tell yet"}


def test_many_times_the_base_is_told_in_times() -> None:
    """11 times as much is no percentage."""
    assert saves(-10.0) == "takes 11.0 times as much"


def test_no_private_word_stands_above_the_folds() -> None:
    """The first screen is everything before the first fold, without the pictures' own code."""
    page = html(results(), {})
    above = page[page.index("<h1>") : page.index('<details class="fold"')]
    text = re.sub(r"<svg.*?</svg>", "", above, flags=re.DOTALL)
    shown = re.sub(r"<[^>]+>", " ", text)
    assert [w for w in JARGON if re.search(rf"(?<!\w){re.escape(w)}(?!\w)", shown)] == []


def test_markup_in_names_and_words_is_shown_as_text() -> None:
    """A workload's words come from a file."""
    made = results()
    page = html(replace(made, workload={**made.workload, "words": "<script>alert(1)</script>"}), {})
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_the_gap_of_the_dumbbell_is_spreadsheet_minus_together() -> None:
    """By hand: the product is 1 - 0.95 x 0.8 x 1.25 = +5 %, together -5 %: ten points too much; pairs stand below it."""
    rows = dumbbell(results()).rows
    whole = rows[rows["layers"] == "all layers"].iloc[0]
    assert (whole["spreadsheet"], whole["together"], whole["gap"]) == pytest.approx((5.0, -5.0, 10.0), abs=0.02)
    assert whole["side"] == TOO_MUCH
    assert set(rows[rows["layers"] == "storage + idle"]["label"]) == {"0.0"}
    assert set(rows["layers"].str.count(r"\+")) == {0, 1}
    assert dumbbell(results(layers={"idle": LAYERS["idle"]})).rows.empty


def test_the_figure_has_the_order_of_the_cards() -> None:
    """Not that of the alphabet: the places of the drawing stand one below the other as the rows came."""
    rows = pd.DataFrame({**dumbbell(results()).rows.iloc[0].to_dict(), "where": where} for where in ("zebra", "apple"))
    drawn = vl_convert.vegalite_to_svg(_chart(rows).to_json())

    assert 0 < drawn.index(">zebra<") < drawn.index(">apple<")


def test_a_layer_without_a_switch_is_no_zero() -> None:
    """Nobody measured it there: the cell says so and has no number."""
    assert _cell(None) == ("soft", "no switch here", None)
