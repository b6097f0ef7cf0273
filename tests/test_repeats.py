"""Repeated runs: what contradicts what, and the closing lines."""

from __future__ import annotations

import pytest

from benchmarks.repeats import Run, closing, contradictions


def run(card: str = "c", **verdicts: str) -> Run:
    """A run that says these words."""
    return Run(load=1.0, beside=0, wall_s=100, card=card, loud="", savings={}, verdicts=verdicts)


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        ("saves", "costs", 1),
        ("fails", "holds", 1),
        ("reached", "not reached", 1),
        ("saves", "not resolved", 0),
        ("holds", "indicative", 0),
        ("fails", "undecided", 0),
        ("saves", "saves", 0),
    ],
)
def test_right_against_wrong_is_a_contradiction(first: str, second: str, count: int) -> None:
    """A word that decides nothing contradicts none; each pair of runs counts, each quantity by itself."""
    assert len(contradictions([run(idle=first), run(idle=second)])) == count
    assert len(contradictions([run(idle=first), run(idle=second), run(idle=second)])) == 2 * count
    assert contradictions([run(idle=first), run(storage=second)]) == []


def test_the_closing_lines() -> None:
    """Contradictions are named and counted; cards are identical only where every run has one and the same."""
    assert closing([run(idle="saves"), run(idle="costs")])[1:] == [
        "idle: run 1 says saves, run 2 costs",
        "contradicting verdicts: 1",
        "exact-work card identical: yes",
    ]
    assert closing([run("a"), run("b")])[-1] == "exact-work card identical: no"
    assert closing([run(""), run("")])[-1] == "exact-work card identical: no"
