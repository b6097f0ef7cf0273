"""What stands beside a published figure: met, the sign alone, missed, or nothing to hold it against."""

from __future__ import annotations

import pytest

from benchmarks import scenes
from benchmarks._published import FP8, MODSERVE, Held


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.6, "met"),
        (0.46, "met"),
        (0.112, "sign met; size missed"),
        (1.2, "sign met; size missed"),
        (-0.112, "missed"),
        (0.0, "missed"),
    ],
)
def test_the_sign_alone_is_not_met(value: float, words: str) -> None:
    """+46 to +85 % published: 11.2 % has the sign and not the size."""
    (_, _, low, high) = FP8[0]

    assert Held("", "", "", value, low, high).verdict == words


def test_a_ratio_turns_at_one() -> None:
    """1.51 within a quarter: 1.65 is met, 1.1 has the sign, .9 has not. Of 0.75, .95 is a loss too, and 1.2 a gain."""
    assert [Held("", "", "", x, 1.26, 1.76, 1.0).verdict for x in (1.65, 1.1, 0.9)] == ["met", "sign met; size missed", "missed"]
    assert [Held("", "", "", x, 0.5, 0.9, 1.0).verdict for x in (0.75, 0.95, 1.2)] == ["met", "sign met; size missed", "missed"]


def test_a_range_on_both_sides_of_nothing_has_no_sign() -> None:
    """Within -1 to +1 points of nothing: outside is a miss, whichever way."""
    assert [Held("", "", "", x, -0.01, 0.01).verdict for x in (0.0, 0.02, -0.02)] == ["met", "missed", "missed"]


def test_without_a_published_figure_nothing_is_met() -> None:
    """At 512 sequences ML.ENERGY has none."""
    (_, words, low, high) = FP8[-1]

    assert words == ""
    assert Held("", "-", "", -0.09, low, high).verdict == "-"


def test_a_miss_stands_out_in_the_table() -> None:
    """Both kinds of miss are set in bold."""
    rows = scenes.published([Held("a", "b", "c", x, *MODSERVE) for x in (0.3, 0.147, -0.1)])[2:]

    assert [row.split("|")[4].strip() for row in rows] == ["met", "**sign met; size missed**", "**missed**"]
