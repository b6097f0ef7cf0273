"""When a claim is confirmed, cannot be told, or is refuted: one saving by its interval, and a target on every bench."""

from __future__ import annotations

import pytest

from deltastack.claims.registry import Verdict
from deltastack.claims.whole_stack import composed, every, reached
from deltastack.statistics import Estimate

YES, OPEN, NO = Verdict.CONFIRMED, Verdict.UNTESTABLE, Verdict.REFUTED


@pytest.mark.parametrize(
    ("saved", "word"),
    [
        (Estimate(0.5, 0.45, 0.55), YES),
        (Estimate(0.4, 0.35, 0.45), OPEN),
        (Estimate(0.5, 0.39, 0.61), OPEN),
        (Estimate(0.1, 0.05, 0.15), NO),
        (Estimate(0.4, None, None), YES),
    ],
)
def test_a_saving_is_held_by_its_ends(saved: Estimate, word: Verdict) -> None:
    """0.4 is confirmed by a low end of 0.45, open between 0.35 and 0.45, refuted below 0.15."""
    assert reached(saved, 0.4) is word


def test_strictly_above() -> None:
    """A low end of exactly 0 is not above 0."""
    assert reached(Estimate(0.1, 0.0, 0.2), 0.0, strict=True) is OPEN
    assert reached(Estimate(0.1, 0.0, 0.2), 0.0) is YES


@pytest.mark.parametrize(
    ("words", "word"),
    [([YES], YES), ([YES, YES], YES), ([YES, NO], NO), ([YES, OPEN], OPEN), ([OPEN, NO], NO), ([NO, YES, OPEN], NO)],
)
def test_every_bench_means_every(words: list[Verdict], word: Verdict) -> None:
    """One bench that misses a target refutes it, one that cannot tell leaves it open, whatever the others reach."""
    assert every(words) is word
    assert every(reversed(words)) is word


def test_the_product_of_savings_and_of_their_ends() -> None:
    """20 % [10, 30] and 50 % [50, 50]: 60 % [55, 65]; one without an interval leaves none."""
    assert composed([Estimate(0.2, 0.1, 0.3), Estimate(0.5, 0.5, 0.5)])[:3] == pytest.approx((0.6, 0.55, 0.65))
    assert composed([Estimate(0.2, 0.1, 0.3), Estimate(0.5, None, None)])[:3] == (pytest.approx(0.6), None, None)
