"""The interval of any smooth statistic of a few blocks, or of a few runs a cell: delete one at a time.

    θ̃_i = n θ(all) - (n - 1) θ(all but i),   then the t interval of the θ̃_i

Made for the gap of a formula: savings of single layers and of the joint come from the same blocks,
so their errors are not independent; leaving out whole blocks keeps them together. Runs that share
no block are left out one at a time inside their own cell; the variances of the cells add:

    V = Σ_c s²(θ̃_c) / n_c,   freedom = V² / Σ_c (s²(θ̃_c) / n_c)² / (n_c - 1)

For a contrast of means this is Welch's interval.

Source: J. Tukey, Annals of Mathematical Statistics 29, 1958; several samples: J. Arvesen, Annals of
Mathematical Statistics 40, 1969; the freedom: F. Satterthwaite, Biometrics Bulletin 2, 1946.
Assumes: a statistic that is smooth in means (not a quantile); coverage is simulated in the tests.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from deltastack.statistics.interval import Interval, checked_confidence, mean_bounds, replicates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

Array = NDArray[np.float64]


def pseudo_values(whole: ArrayLike, without: Array) -> Array:
    """Tukey's pseudo-values n θ(all) - (n - 1) θ(all but i), (..., n).

    Args:
        whole: The statistic of all blocks, (...).
        without: The statistic with block i left out, (..., n).
    """
    n = without.shape[-1]
    found: Array = n * np.asarray(whole)[..., None] - (n - 1) * without
    return found


def jackknife(values: ArrayLike, statistic: Callable[[Array], float], *, confidence: float = 0.95) -> Interval:
    """``statistic`` of all blocks with its interval; the slow twin of what ``analysis`` does with ``pseudo_values`` (tests).

    For the mean it is the t interval of the mean.

    Args:
        values: One row a block, (n, ...).
        statistic: Takes any number of rows, gives one number.
        confidence: Of the interval.

    Raises:
        FormulaError: Fewer than two blocks, or not finite.
    """
    rows = replicates(values, "blocks")
    n, whole = len(rows), float(statistic(rows))
    without = np.array([statistic(np.delete(rows, i, axis=0)) for i in range(n)])
    middle, low, high = mean_bounds(pseudo_values(whole, without), confidence=confidence)
    shift = whole - middle  # the interval is put around the statistic itself
    ends = {"low": float(low + shift), "high": float(high + shift)}
    return Interval(estimate=whole, **ends, confidence=confidence, n=n, method="jackknife t")


def jackknife_groups(groups: Sequence[ArrayLike], statistic: Callable[[Array], float], *, confidence: float = 0.95) -> Interval:
    """``statistic`` of the means of independent groups with its interval.

    For the difference of two means it is Welch's interval. 1, 3 and 2, 6: the difference is 2, V = 1 + 4 = 5 and
    freedom = 25 / (1 + 16) = 1.47, so t = 6.2 and the half width 13.8:

    >>> found = jackknife_groups([[1.0, 3.0], [2.0, 6.0]], lambda means: float(means[1] - means[0]))
    >>> round(found.estimate, 3), round(found.half_width, 1)
    (2.0, 13.8)

    Args:
        groups: The runs of each cell, (n_c,) each, at least two.
        statistic: Takes the means of the groups, (C,), gives one number.
        confidence: Of the interval.

    Raises:
        FormulaError: Fewer than two runs in a group, or not finite.
    """
    found = [replicates(g, "runs of a cell") for g in groups]
    means = np.array([g.mean() for g in found])
    whole = float(statistic(means))
    shares = [_variance(g, i, means, whole, statistic) for i, g in enumerate(found)]
    error = sum(shares)
    freedom = error**2 / sum(v**2 / (len(g) - 1) for v, g in zip(shares, found, strict=True)) if error else 1.0
    half = float(stats.t.ppf((1 + checked_confidence(confidence)) / 2, freedom)) * math.sqrt(error)
    ends = {"low": whole - half, "high": whole + half}
    return Interval(estimate=whole, **ends, confidence=confidence, n=min(map(len, found)), method="jackknife of cells, Welch t")


def _variance(group: Array, place: int, means: Array, whole: float, statistic: Callable[[Array], float]) -> float:
    """What the scatter of one group adds to the variance of the statistic."""
    n, at = len(group), means.copy()
    values = []
    for run in group:
        at[place] = (group.sum() - run) / (n - 1)
        values.append(n * whole - (n - 1) * statistic(at))
    return float(np.var(values, ddof=1)) / n
