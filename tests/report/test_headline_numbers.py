"""headline.json: about a dozen numbers, the same that the first screen's cards and metrics.json have."""

from __future__ import annotations

import pytest

from deltastack.report import headline_numbers, metrics
from deltastack.report.html.first_screen import first_screen, saves
from tasks.outbox import flatten
from tests.report.test_page import results


def test_they_are_those_of_the_cards_and_of_metrics_json() -> None:
    """Two cards: five numbers each; predicted less together is the gap, and no number is another than in metrics.json."""
    made = results()
    found = flatten(headline_numbers(made))
    every = flatten(metrics(made))
    cards = first_screen(made).cards

    assert len(found) == 5 * len(cards)
    for name, value in found.items():
        place, _, kind = name.replace(".gap.", ".gap@").rpartition(".")
        kind = kind.replace("@", ".")
        where = {"predicted": "delta_total.{}.independent", "together": "delta_total.{}.joint"}.get(kind, "gap.{}.independent")
        end = kind.partition(".")[2]
        assert value == every[where.format(place) + (f".{end}" if end else "")]
    told = [saves(v) for n, v in found.items() if n.endswith(".together")]
    assert told == [c.number for c in cards]
    for place in {n.rpartition(".")[0] for n in found if n.endswith(".together")}:
        assert found[f"{place}.predicted"] - found[f"{place}.together"] == pytest.approx(found[f"{place}.gap"])
