"""What a technique does to the answers: paired accuracy, divergence of the next-token distribution, top-1 agreement.

With b answers lost (right before, wrong after) and c gained out of n, the change of accuracy is (c - b) / n. Its
interval is Agresti and Min's: one half is added to each of the four cells of the paired table,

    d = (c' - b') / n'      b' = b + 1/2, c' = c + 1/2, n' = n + 2
    d +/- z sqrt((b' + c') - (c' - b')^2 / n') / n'

Source: McNemar, Psychometrika 12 (1947); Agresti & Min, Statistics in Medicine 24 (2005) 729-740.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from deltastack.errors import EvidenceError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyChange:
    """Change of accuracy with its interval, as fractions (negative: worse), and McNemar's exact p."""

    requests: int
    lost: int
    gained: int
    change: float
    low: float
    high: float
    p: float


def accuracy_change(before: ArrayLike, after: ArrayLike, *, confidence: float = 0.95) -> AccuracyChange:
    """Paired change of accuracy from two (n,) boolean series over the same questions.

    Raises:
        EvidenceError: Different lengths, or no question.
    """
    right_before, right_after = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    n = right_before.size
    if n == 0 or right_before.shape != right_after.shape:
        raise EvidenceError(f"a paired change needs the same questions twice; found {right_before.shape} and {right_after.shape}")
    lost = int((right_before & ~right_after).sum())
    gained = int((~right_before & right_after).sum())
    b, c, m = lost + 0.5, gained + 0.5, n + 2
    half = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt((b + c) - (c - b) ** 2 / m) / m
    changed = lost + gained
    return AccuracyChange(
        requests=n,
        lost=lost,
        gained=gained,
        change=(gained - lost) / n,
        low=(c - b) / m - half,
        high=(c - b) / m + half,
        p=float(stats.binomtest(lost, changed).pvalue) if changed else 1.0,
    )


def divergence_nat(reference_logits: ArrayLike, logits: ArrayLike) -> float:
    """Mean Kullback-Leibler divergence KL(reference || other) [nat] of (T, V) next-token logits.

    Raises:
        EvidenceError: Shapes differ, or a logit is not finite.
    """
    p, q = _log_softmax(reference_logits), _log_softmax(logits)
    if p.shape != q.shape:
        raise EvidenceError(f"logits of different shape: {p.shape} and {q.shape}")
    return float((np.exp(p) * (p - q)).sum(axis=-1).mean())


def top1_agreement(reference_logits: ArrayLike, logits: ArrayLike) -> float:
    """Share of (T, V) positions at which both choose the same token.

    Raises:
        EvidenceError: Shapes differ, or a logit is not finite.
    """
    p, q = _log_softmax(reference_logits), _log_softmax(logits)
    if p.shape != q.shape:
        raise EvidenceError(f"logits of different shape: {p.shape} and {q.shape}")
    return float((p.argmax(axis=-1) == q.argmax(axis=-1)).mean())


def _log_softmax(logits: ArrayLike) -> np.ndarray:
    x = np.asarray(logits, dtype=np.float64)
    if x.ndim != 2 or x.size == 0 or not np.isfinite(x).all():  # noqa: PLR2004 - (positions, vocabulary)
        raise EvidenceError(f"logits must be finite and of shape (positions, vocabulary); found {x.shape}")
    shifted = x - x.max(axis=-1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
