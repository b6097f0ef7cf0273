"""The range of a model's draws that should hold a further one.

    ends = order statistics of rank p (n + 1) and (1 - p)(n + 1),  p = (1 - confidence) / 2

between draws by interpolation, and at most the least and the greatest of them. A further draw falls between the least and the
greatest of n with probability (n - 1) / (n + 1), whatever the distribution: 67 % of 5, 90 % of 19, 95 % of 39. A model's
first draw is the central one, which is not drawn at random: of n with it, n - 1 count, and a further one falls inside with
probability (n - 2) / n at least: 60 % of 5, 90 % of 20.

Source: H. David & H. Nagaraja, Order Statistics (2003), ch. 7 (prediction intervals).  Assumes: draws that can be exchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.statistics.interval import checked_confidence

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def predictive(draws: ArrayLike, *, confidence: float = 0.95) -> tuple[float, float]:
    """Where a further draw should fall; of too few draws their whole range, which then holds it less often.

    >>> [round(x, 9) for x in predictive(range(39))]
    [0.0, 38.0]

    Args:
        draws: (n,), at least one; NaN among them gives NaN.
        confidence: Share of further draws that it should hold.
    """
    tail = (1 - checked_confidence(confidence)) / 2
    low, high = np.quantile(np.asarray(draws, dtype=np.float64), [tail, 1 - tail], method="weibull")
    return float(low), float(high)


def holds_further(draws: int) -> float:
    """How often the range of so many draws, the central one among them, holds a further one, at least.

    >>> holds_further(5), holds_further(20)
    (0.6, 0.9)
    """
    return (draws - 2) / draws


def drawn_ends(draws: ArrayLike, *, confidence: float = 0.95) -> tuple[float, float] | tuple[None, None]:
    """``predictive`` of draws the first of which is the central one: that lies always inside; one draw has no ends.

    >>> drawn_ends([2.0]), drawn_ends([9.0, *[1.0] * 200])
    ((None, None), (1.0, 9.0))

    Args:
        draws: (n,), at least one, the first at the central values.
        confidence: As ``predictive``.
    """
    found = np.asarray(draws, dtype=np.float64)
    if found.size == 1:
        return None, None
    low, high = predictive(found, confidence=confidence)
    return min(low, float(found[0])), max(high, float(found[0]))
