"""Quality: paired accuracy by hand and by coverage, divergence and agreement."""

from __future__ import annotations

import math

import numpy as np
import pytest

from deltastack.errors import EvidenceError
from deltastack.testbed import quality


def test_accuracy_change_by_hand() -> None:
    """Of 100 answers 3 are lost and 1 gained: -2 points; b'=3.5, c'=1.5, n'=102."""
    before = np.array([True] * 96 + [False] * 4)
    after = before.copy()
    after[:3] = False
    after[-1] = True
    half = 1.959964 * math.sqrt(5.0 - 4.0 / 102) / 102

    found = quality.accuracy_change(before, after)

    assert (found.lost, found.gained, found.change) == (3, 1, pytest.approx(-0.02))
    assert found.low == pytest.approx(-2 / 102 - half, rel=1e-6)
    assert found.high == pytest.approx(-2 / 102 + half, rel=1e-6)
    assert found.p == pytest.approx(2 * (1 + 4) / 16)


def test_swapping_before_and_after_flips_the_sign() -> None:
    """Lost becomes gained."""
    rng = np.random.default_rng(0)
    a, b = rng.random(200) < 0.9, rng.random(200) < 0.8
    there, back = quality.accuracy_change(a, b), quality.accuracy_change(b, a)

    assert there.change == -back.change
    assert there.low == pytest.approx(-back.high)


def test_the_interval_covers() -> None:
    """Nominal 95 %: between 93.5 and 98 % of simulated changes lie inside."""
    rng, n, lose, gain, hits = np.random.default_rng(1), 1000, 0.02, 0.01, 0
    for _ in range(2000):
        u = rng.random(n)
        before = (u < lose) | (u > 0.2)
        after = (u > 0.2) | ((u >= lose) & (u < lose + gain))
        found = quality.accuracy_change(before, after)
        hits += found.low <= gain - lose <= found.high

    assert 0.935 <= hits / 2000 <= 0.98


def test_few_questions_cannot_exclude_a_point() -> None:
    """No answer changed: of 50 questions the interval still reaches beyond a point, of 2,000 it does not."""
    few, many = np.ones(50, bool), np.ones(2000, bool)

    assert quality.accuracy_change(few, few).low < -0.01
    assert quality.accuracy_change(many, many).low > -0.01


def test_divergence_by_hand() -> None:
    """KL((1/2, 1/2) || (1/4, 3/4)) = ln 2 - (ln 3)/2 + ... = 0.143841 nat."""
    p, q = np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]])

    assert quality.divergence_nat(p, q) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert quality.divergence_nat(p, p) == pytest.approx(0.0, abs=1e-15)


def test_divergence_ignores_the_offset_and_is_never_negative() -> None:
    """Adding a constant to the logits of a position changes nothing."""
    rng = np.random.default_rng(2)
    p, q = rng.normal(size=(7, 11)), rng.normal(size=(7, 11))

    assert quality.divergence_nat(p, q) == pytest.approx(quality.divergence_nat(p + 5.0, q - 3.0))
    assert quality.divergence_nat(p, q) > 0
    assert quality.divergence_nat(p, q) != pytest.approx(quality.divergence_nat(q, p))


def test_agreement_by_hand() -> None:
    """Two of three positions choose the same token."""
    p = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
    q = np.array([[3.0, 0.0], [1.0, 0.0], [2.0, 1.0]])

    assert quality.top1_agreement(p, q) == pytest.approx(2 / 3)


def test_refusals() -> None:
    """Other questions, no questions, other shapes and infinite logits are refused."""
    with pytest.raises(EvidenceError):
        quality.accuracy_change([True], [True, False])
    with pytest.raises(EvidenceError):
        quality.accuracy_change([], [])
    with pytest.raises(EvidenceError):
        quality.divergence_nat([[1.0, 2.0]], [[1.0, 2.0, 3.0]])
    with pytest.raises(EvidenceError):
        quality.top1_agreement([[1.0, math.inf]], [[1.0, 2.0]])
