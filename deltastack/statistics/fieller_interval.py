"""Fieller's interval of a saving from arithmetic means: Δ = 1 - mean(optimized) / mean(base).

    θ is inside  <=>  (ȳ - θ x̄)² <= t² (s_yy - 2 θ s_xy + θ² s_xx) / n

so the ends are the roots of  a θ² - 2 b θ + c  with  a = x̄² - t² s_xx/n,  b = x̄ ȳ - t² s_xy/n,
c = ȳ² - t² s_yy/n. For totals (joules of a day) the mean that counts is the arithmetic one.

Source: E. C. Fieller, J. Royal Statistical Society B 16(2), 1954.  Assumes: pairs, means near
enough to normal, and a base that is clearly above zero (a > 0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from deltastack.composition import domain
from deltastack.errors import FormulaError
from deltastack.statistics.interval import Bounds, Interval, checked_confidence, replicates

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

METHOD = "Fieller"


def fieller(base: ArrayLike, optimized: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """The saving 1 - ȳ / x̄ of n pairs, (n,) each, with Fieller's interval.

    Raises:
        FormulaError: Fewer than two pairs, shapes that differ, or a base not clearly above zero.
    """
    found = fieller_bounds(base, optimized, confidence=confidence)
    return found.interval(confidence=confidence, n=len(np.asarray(base)), method=METHOD)


def fieller_bounds(base: ArrayLike, optimized: ArrayLike, *, confidence: float = 0.95) -> Bounds:
    """As ``fieller`` for pairs (n, S); the bounds are (S,).

    Raises:
        FormulaError: As ``fieller``.
    """
    x, y = replicates(base, "base"), replicates(optimized, "optimized")
    if x.shape != y.shape:
        raise FormulaError(f"pairs: base has shape {x.shape}, optimized {y.shape}; wanted one optimized for each base")
    n, mean_x, mean_y = len(x), x.mean(axis=0), y.mean(axis=0)
    domain.refuse("mean of base", np.asarray(mean_x), np.asarray(mean_x <= 0), "a saving is a share of a positive amount")
    scale = stats.t.ppf((1 + checked_confidence(confidence)) / 2, n - 1) ** 2 / n
    s_xy = ((x - mean_x) * (y - mean_y)).sum(axis=0) / (n - 1)
    a = mean_x**2 - scale * x.var(axis=0, ddof=1)
    b = mean_x * mean_y - scale * s_xy
    c = mean_y**2 - scale * y.var(axis=0, ddof=1)
    domain.refuse("base", np.asarray(a), np.asarray(a <= 0), "its mean is not clear of zero: more replicates are needed")
    root = np.sqrt(np.maximum(b**2 - a * c, 0.0))  # never negative where a > 0, but for rounding
    return Bounds(1 - mean_y / mean_x, 1 - (b + root) / a, 1 - (b - root) / a)
