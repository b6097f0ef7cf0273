"""The interval of any smooth statistic of a few blocks: delete one block at a time.

    θ̃_i = n θ(all) - (n - 1) θ(all but i),   then the t interval of the θ̃_i

Made for the gap of a formula: savings of single layers and of the joint come from the same blocks,
so their errors are not independent; leaving out whole blocks keeps them together.

Source: J. Tukey, Annals of Mathematical Statistics 29, 1958.  Assumes: a statistic that is smooth
in means (not a quantile); coverage is simulated in the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltastack.statistics.interval import Interval, mean_bounds, replicates

if TYPE_CHECKING:
    from collections.abc import Callable

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
