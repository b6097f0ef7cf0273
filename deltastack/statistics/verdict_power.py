"""How often a verdict says each of its words: its power, before it is believed.

With n units (process starts, or occasions), a true gap of g in logs, a standard deviation of σ between units, the interval
X ± h, h = t S / √n, and a tolerance T, X is normal about g with error σ / √n and S² / σ² is χ²(n - 1) / (n - 1), independent of
each other. So, with Φ the normal distribution in units of that error,

    holds   P(|X| + h <= T) = E_S [Φ(T - h - g) - Φ(-T + h - g)],  0 where h > T
    fails   P(|X| - h > T)  = E_S [Φ(g - T - h) + Φ(-g - T - h)]

Source: D. Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15, 1987 (two one-sided tests).  Assumes: normal units.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from deltastack.errors import FormulaError
from deltastack.statistics.interval import LEAST, checked_confidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS = 2000
"""Quantiles of χ² over which the expectation is a mean: three digits."""


def says_holds(gap: float, tolerance: float, sd: float, n: int, *, confidence: float = 0.95) -> float:
    """How often the interval of n units lies wholly inside ± ``tolerance``.

    >>> round(says_holds(0.0, 0.02, 0.001, 8), 3), says_holds(0.0, 0.02, 0.5, 8)
    (1.0, 0.0)

    Args:
        gap: The true gap, in logs.
        tolerance: In logs, above 0.
        sd: Between units, in logs.
        n: How many units there are.
        confidence: Of the interval.

    Raises:
        FormulaError: Fewer than two units, or a number outside its domain.
    """
    half, error = _half_widths(tolerance, sd, n, confidence)
    if error == 0:
        return float(abs(gap) <= tolerance)
    room = tolerance - half
    inside = stats.norm.cdf((room - gap) / error) - stats.norm.cdf((-room - gap) / error)
    return float(np.maximum(inside, 0.0).mean())


def says_fails(gap: float, tolerance: float, sd: float, n: int, *, confidence: float = 0.95) -> float:
    """How often the interval of n units lies wholly outside ± ``tolerance``; as ``says_holds``.

    A gap of exactly the tolerance: 2.5 % by its own end, and next to nothing by the other:

    >>> round(says_fails(0.02, 0.02, 0.01, 8), 3)
    0.025

    Raises:
        FormulaError: As ``says_holds``.
    """
    half, error = _half_widths(tolerance, sd, n, confidence)
    if error == 0:
        return float(abs(gap) > tolerance)
    beyond = stats.norm.cdf((gap - tolerance - half) / error) + stats.norm.cdf((-gap - tolerance - half) / error)
    return float(beyond.mean())


def _half_widths(tolerance: float, sd: float, n: int, confidence: float) -> tuple[NDArray[np.float64], float]:
    """Half-widths of the interval, as likely as each other, and the standard error of its middle.

    Raises:
        FormulaError: A number outside its domain.
    """
    if n < LEAST or not 0 <= sd < math.inf or not 0 < tolerance < math.inf:
        raise FormulaError(f"power of {n} units, sd {sd:g}, tolerance {tolerance:g}: wanted {LEAST} or more, 0 or more, above 0")
    t = float(stats.t.ppf((1 + checked_confidence(confidence)) / 2, n - 1))
    half: NDArray[np.float64] = t * sd / math.sqrt(n) * _spreads(n)
    return half, sd / math.sqrt(n)


@cache
def _spreads(n: int) -> NDArray[np.float64]:
    """S / σ of n units, values as likely as each other."""
    found: NDArray[np.float64] = np.sqrt(stats.chi2.ppf((np.arange(_STEPS) + 0.5) / _STEPS, n - 1) / (n - 1))
    return found
