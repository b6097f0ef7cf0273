"""What the sentence on a model says of its draws."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deltastack.model import Bench
from deltastack.outcomes import Formula, Verdict
from deltastack.report.context import Swing
from deltastack.report.text import deciding, headline
from tests.report.test_page import results

PLACE = ("fleet", "at_capacity", "energy_j")


def swing(technique: str, parameter: str, moved: float, place: tuple[str, str, str] = PLACE) -> Swing:
    """A parameter that moves a saving by so much."""
    return Swing("idle", technique, parameter, *place, 0.1, 0.1 + moved, 0.1, None)


@pytest.mark.parametrize(
    ("verdict", "held_in", "words"),
    [
        (Verdict.HOLDS, 20, "the product rule holds in 20 of 20 draws (within ±2.0 points)"),
        (Verdict.FAILS, 1, "the product rule fails: it holds in 1 of 20 draws (within ±2.0 points)"),
        (
            Verdict.UNDECIDED,
            12,
            (
                "the product rule holds in 12 of 20 draws (within ±2.0 points), so the parameters decide; savings hang most on "
                "sleep.wake_s (9.0 points), sleep.share (4.0 points)"
            ),
        ),
    ],
)
def test_the_words(verdict: Verdict, held_in: int, words: str) -> None:
    """Draws are counted; where they differ, parameters of what is on are named, the largest first, of this place alone."""
    made = replace(results(), enabled_techniques={"idle": {Bench.FLEET: ("sleep",)}})
    a = next(x for x in made.headlines if x.at_headline)
    product = a.totals[Formula.INDEPENDENT]._replace(verdict=verdict, held_in=held_in)
    elsewhere = ("fleet", "at_trace", "energy_j")
    some = [swing("sleep", "share", -0.04), swing("sleep", "wake_s", 0.09), swing("sleep", "small", 0.0005)]
    others = [swing("off", "share", 0.5), swing("sleep", "other", 0.5, elsewhere)]

    assert deciding.by_draws(product, 20, made, a, [*some, *others]) == words


def test_the_headline_never_asks_for_a_longer_run() -> None:
    """Draws are of parameters: the sentence counts them, and says where their ranges stand."""
    for said in (*headline.headline(results()), *headline.others(results())):
        assert " of 20 draws (within ±2.0 points)" in said
        assert "longer run" not in said
        assert "undecided" not in said
