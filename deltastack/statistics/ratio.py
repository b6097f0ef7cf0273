"""The interval of a saving from log ratios: the default.

    d_i = ln(optimized_i / base_i),   Δ = 1 - exp(mean d),   ends from the t interval of d

The ratio is one of geometric means; no ratio is averaged. Paired replicates ran in one block, so
that what the block shares cancels.

Source: Kalibera & Jones, arXiv 2007.10899 (interval of a ratio); Student 1908 (t); Welch,
Biometrika 34, 1947 (unpaired).  Assumes: log ratios near enough to normal; coverage is simulated
in the tests for n = 5, 10, 30.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from deltastack.composition import domain
from deltastack.errors import FormulaError
from deltastack.statistics.interval import Bounds, Interval, checked_confidence, mean_bounds, replicates

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Array = NDArray[np.float64]


def log_ratio_bounds(base: ArrayLike, optimized: ArrayLike, *, confidence: float = 0.95) -> Bounds:
    """Savings Δ from pairs, (n,) or (n, S) each; () or (S,) each.

    Raises:
        FormulaError: Fewer than two pairs, another number of replicates, or amounts not positive.
    """
    mean, low, high = mean_bounds(logs_of_pairs(base, optimized), confidence=confidence)
    return Bounds(-np.expm1(mean), -np.expm1(high), -np.expm1(low))


def log_ratio(base: ArrayLike, optimized: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """The saving Δ from n pairs (n,), with its paired log-ratio t interval.

    Ratios 0.5 and 0.5: exactly half. Ratios 0.4 and 0.9: Δ = 1 - √0.36 = 0.4, not 1 - 0.65 = 0.35:

    >>> round(log_ratio([10.0, 10.0], [4.0, 9.0]).estimate, 12)
    0.4

    Raises:
        FormulaError: As ``log_ratio_bounds``.
    """
    found = replicates(base, "base")
    bounds = log_ratio_bounds(found, optimized, confidence=confidence)
    return bounds.interval(confidence=confidence, n=len(found), method="paired log-ratio t")


def log_ratio_unpaired(base: ArrayLike, optimized: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """The saving Δ from two groups, (n,) and (m,), that share no blocks: Welch's t in logs.

    Raises:
        FormulaError: Fewer than two in a group, or amounts not positive.
    """
    was, now = logs(base, "base"), logs(optimized, "optimized")
    spread = [x.var(ddof=1) / len(x) for x in (was, now)]
    mean, error = float(now.mean() - was.mean()), math.sqrt(sum(spread))
    freedom = sum(spread) ** 2 / sum(s**2 / (len(x) - 1) for s, x in zip(spread, (was, now), strict=True)) if error else 1.0
    half = float(stats.t.ppf((1 + checked_confidence(confidence)) / 2, freedom)) * error
    ends = {"estimate": -math.expm1(mean), "low": -math.expm1(mean + half), "high": -math.expm1(mean - half)}
    return Interval(**ends, confidence=confidence, n=min(len(was), len(now)), method="Welch log-ratio t")


def logs(values: ArrayLike, name: str) -> Array:
    """Logarithms of positive replicates, (n, ...).

    Raises:
        FormulaError: Fewer than two, or an amount that is not positive.
    """
    found = replicates(values, name)
    domain.refuse(name, found, found <= 0, "a log ratio needs positive amounts")
    taken: Array = np.log(found)
    return taken


def logs_of_pairs(base: ArrayLike, optimized: ArrayLike) -> Array:
    """ln(optimized / base) of each pair, (n, ...).

    Raises:
        FormulaError: As ``logs``, or shapes that differ.
    """
    was, now = logs(base, "base"), logs(optimized, "optimized")
    if was.shape != now.shape:
        raise FormulaError(f"pairs: base has shape {was.shape}, optimized {now.shape}; wanted one optimized for each base")
    return now - was
