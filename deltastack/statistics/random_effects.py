"""Estimates of several occasions pooled: each occasion has its own truth, and these scatter about one mean.

    y_i = m + u_i + e_i,   u_i with variance τ² (between occasions),   e_i with variance s_i² (inside occasion i)

    w_i = 1 / (s_i² + τ²),   m = Σ w_i y_i / Σ w_i
    τ²: Σ w_i (y_i - m)² = k - 1, or 0 where the left side is no more than k - 1 even at 0         (Paule and Mandel)
    SE² = q / Σ w_i,   q = max(1, Σ w_i (y_i - m)² / (k - 1)),   m ± t(k - 1) SE                    (Hartung and Knapp)
    reading of another occasion: m ± t(k - 1) √(τ² + SE² + mean of s_i²)

Source: R. Paule & J. Mandel, J. Res. NBS 87, 1982; J. Hartung & G. Knapp, Statistics in Medicine 20, 2001, with q at least 1:
C. Röver, G. Knapp & T. Friede, BMC Medical Research Methodology 15, 2015; J. Higgins, S. Thompson & D. Spiegelhalter,
J. R. Statist. Soc. A 172, 2009 (prediction).  Assumes: occasions that can be exchanged, and estimates near enough to normal.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import optimize, stats

from deltastack.errors import FormulaError
from deltastack.statistics.interval import LEAST, checked_confidence, replicates

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


_NOTHING = float(np.finfo(np.float64).tiny) ** 0.5
"""A variance below it counts as it: estimates without any error weigh alike."""


class Pooled(NamedTuple):
    """The mean over occasions, its interval, and where the reading of another occasion would fall."""

    mean: float
    low: float
    high: float
    error: float
    """Standard error of the mean."""
    between_sd: float
    """τ: what occasions differ by beyond their own errors."""
    next_low: float
    next_high: float
    occasions: int


def pool(estimates: ArrayLike, errors: ArrayLike, *, confidence: float = 0.95) -> Pooled:
    """The random effect of k occasions from their estimates (k,) and standard errors (k,).

    Errors of 0: τ² is the variance of 1, 2, 3, which is 1; the mean is 2 ± t(2) / √3, another reading 2 ± t(2) √(1 + 1/3):

    >>> found = pool([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    >>> round(found.between_sd, 6), round(found.high - 2, 3), round(found.next_high - 2, 3)
    (1.0, 2.484, 4.968)

    Raises:
        FormulaError: Fewer than two occasions, an error below 0, or not as many errors as estimates.
    """
    y, s = replicates(estimates, "estimates"), np.asarray(errors, dtype=np.float64)
    if y.shape != s.shape or y.ndim != 1 or not (np.isfinite(s).all() and (s >= 0).all()):
        raise FormulaError(f"errors: found shape {s.shape}; wanted one standard error, 0 or more, for each of {y.shape}")
    tau2 = between_variance(y, s)
    weights = _weights(s, tau2)
    mean = float(weights @ y / weights.sum())
    spread = float(weights @ (y - mean) ** 2) / (len(y) - 1)
    error = math.sqrt(max(1.0, spread) / float(weights.sum()))
    t = float(stats.t.ppf((1 + checked_confidence(confidence)) / 2, len(y) - 1))
    half, further = t * error, t * math.sqrt(tau2 + error**2 + float((s**2).mean()))
    return Pooled(mean, mean - half, mean + half, error, math.sqrt(tau2), mean - further, mean + further, len(y))


def between_variance(y: NDArray[np.float64], s: NDArray[np.float64]) -> float:
    """τ² of Paule and Mandel, 0 where the estimates scatter no more than their errors explain."""
    scale = float(y.var(ddof=1))
    if len(y) < LEAST or scale == 0 or (s.min() > 0 and _excess(0.0, y, s) <= 0):
        return 0.0
    return float(optimize.brentq(_excess, 0.0 if s.min() > 0 else scale * 1e-12, scale * len(y), args=(y, s), xtol=scale * 1e-12))


def _excess(tau2: float, y: NDArray[np.float64], s: NDArray[np.float64]) -> float:
    """Σ w (y - m)² - (k - 1): falls as τ² grows."""
    weights = _weights(s, tau2)
    mean = weights @ y / weights.sum()
    return float(weights @ (y - mean) ** 2 - (len(y) - 1))


def _weights(s: NDArray[np.float64], tau2: float) -> NDArray[np.float64]:
    """1 / (s² + τ²); equal weights where nothing has a variance."""
    variance = s**2 + tau2
    found: NDArray[np.float64] = 1 / np.maximum(variance, _NOTHING)
    return found
