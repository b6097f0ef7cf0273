"""Equivalence and families of tests: by hand, against loops and scipy, bounds, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deltastack.errors import FormulaError
from deltastack.statistics import benjamini_hochberg, equivalent, holm

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def loop_holm(p: list[float]) -> list[float]:
    """Each p-value's adjusted value from the definition."""
    ranked = sorted(p)
    return [min(1.0, max((len(p) - j) * ranked[j] for j in range(len(p)) if ranked[j] <= one)) for one in p]


def loop_bh(p: list[float]) -> list[float]:
    """Each p-value's adjusted value from the definition."""
    ranked = sorted(p)
    return [min(1.0, *(len(p) * ranked[j] / (j + 1) for j in range(len(p)) if ranked[j] >= one), 1.0) for one in p]


def test_holm_by_hand() -> None:
    """0.01, 0.02, 0.03, 0.5: 0.04, 0.06, then 2 x 0.03 = 0.06, then 0.5; in the order given."""
    assert holm([0.5, 0.02, 0.01, 0.03]).tolist() == pytest.approx([0.5, 0.06, 0.04, 0.06])


def test_benjamini_hochberg_by_hand() -> None:
    """0.01, 0.02, 0.03, 0.5: 0.04, 0.04, 0.04, 0.5."""
    assert benjamini_hochberg([0.5, 0.02, 0.01, 0.03]).tolist() == pytest.approx([0.5, 0.04, 0.04, 0.04])


@given(probabilities)
def test_families_agree_with_loops_and_scipy(p: list[float]) -> None:
    """The vector forms are the definitions, and BH is scipy's."""
    assert holm(p).tolist() == pytest.approx(loop_holm(p))
    assert benjamini_hochberg(p).tolist() == pytest.approx(loop_bh(p))
    assert benjamini_hochberg(p).tolist() == pytest.approx(stats.false_discovery_control(p).tolist())


@given(probabilities)
def test_adjusting_never_strengthens(p: list[float]) -> None:
    """Raw <= BH <= Holm <= Bonferroni, and the smallest stays the smallest."""
    bonferroni = np.minimum(1, len(p) * np.array(p))

    assert np.all(np.array(p) <= benjamini_hochberg(p) + 1e-12)
    assert np.all(benjamini_hochberg(p) <= holm(p) + 1e-12)
    assert np.all(holm(p) <= bonferroni + 1e-12)
    assert np.min(holm(p)) == pytest.approx(holm(p)[int(np.argmin(p))])


def test_equivalence_by_hand() -> None:
    """Log ratios -0.01, 0, 0.01 (s/√n = 0.00577) and margin 0.05: ln 1.05 is 8.45 errors away; 0.02 lower, ln 0.95 is nearer."""
    ones = np.ones(3)
    found = equivalent(ones, np.exp([-0.01, 0.0, 0.01]), margin=0.05)

    assert found.p == pytest.approx(stats.t.sf(math.log(1.05) / (0.01 / math.sqrt(3)), 2))
    assert found.equivalent
    assert (found.margin, found.interval.confidence) == (0.05, pytest.approx(0.9))

    saving = equivalent(ones, np.exp([-0.03, -0.02, -0.01]), margin=0.05)
    assert saving.p == pytest.approx(stats.t.sf((-0.02 - math.log(0.95)) / (0.01 / math.sqrt(3)), 2))


@given(st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=8, unique=True), st.floats(0.01, 0.2))
def test_equivalence_says_what_the_interval_says(logs: list[float], margin: float) -> None:
    """Equivalent at 5 % exactly where the 90 % interval of Δ lies inside the margin."""
    found = equivalent(np.ones(len(logs)), np.exp(logs), margin=margin)
    inside = -margin < found.interval.low and found.interval.high < margin

    assert found.equivalent == inside or math.isclose(found.p, 0.05, rel_tol=1e-6)


def test_a_significant_effect_can_be_equivalent_and_noise_is_not() -> None:
    """A steady 0.5 % is inside ± 1 %; a mean of zero with 10 % noise shows nothing; no spread leaves no doubt."""
    ones = np.ones(4)

    assert equivalent(ones, 0.995 * np.exp([0.0001, -0.0001, 0.0002, -0.0002]), margin=0.01).equivalent
    assert not equivalent(ones, np.exp([0.1, -0.1, 0.1, -0.1]), margin=0.01).equivalent
    assert equivalent(ones, ones, margin=0.01).p == 0.0
    assert equivalent(ones, 0.9 * ones, margin=0.01).p == 1.0
    assert equivalent(ones, 1.1 * ones, margin=0.01).p == 1.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: holm([]), "p: none given; wanted"),
        (lambda: holm([0.5, 1.5]), r"p: found 1\.5 at place 1; a probability"),
        (lambda: benjamini_hochberg([-0.1]), r"p: found -0\.1 at place 0"),
        (lambda: benjamini_hochberg([float("nan")]), "p: found nan"),
        (lambda: equivalent([1.0, 1.0], [1.0, 1.0], margin=0.0), "margin: found 0"),
        (lambda: equivalent([1.0, 1.0], [1.0, 1.0], margin=0.1, alpha=0.5), r"alpha: found 0\.5"),
        (lambda: equivalent([1.0], [1.0], margin=0.1), "base: 1 replicates"),
    ],
)
def test_what_is_refused(call: object, words: str) -> None:
    """What is no probability, no margin, no pair of pairs is named."""
    with pytest.raises(FormulaError, match=words):
        call()  # type: ignore[operator]
