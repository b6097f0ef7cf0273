"""The minimum detectable saving of n pairs, and the least n that is enough.

n pairs whose log ratios have standard deviation s show, with the t quantiles of n - 1 degrees,

    |ln(1 - Δ)| = (t_{1-α/2} + t_power) s / √n

Source: S. Julious, Statistics in Medicine 23, 2004.  Assumes: normal; the t form is exact to about one pair.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scipy import stats

from deltastack.errors import FormulaError
from deltastack.statistics.interval import LEAST

if TYPE_CHECKING:
    from collections.abc import Callable

POWER = 0.8
ALPHA = 0.05


def minimum_detectable_delta(sd: float, n: int, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """The least saving that ``n`` pairs show, if their log ratios have standard deviation ``sd`` (of an A/A run).

    Raises:
        FormulaError: Fewer than two pairs, a negative sd, or no probabilities.
    """
    _check(alpha, power)
    if n < LEAST or not 0 <= sd < math.inf:
        raise FormulaError(f"minimum_detectable_delta({sd:g}, {n}): wanted a standard deviation and at least {LEAST} pairs")
    both = float(stats.t.ppf(1 - alpha / 2, n - 1) + stats.t.ppf(power, n - 1))
    return -math.expm1(-both * sd / math.sqrt(n))


def least_count(enough: Callable[[int], bool], *, least: int, most: int) -> int | None:
    """The least count from ``least`` on that is enough, by doubling and bisection; None if even ``most`` is not.

    >>> least_count(lambda n: n * n >= 50, least=2, most=100), least_count(lambda n: n > 9, least=2, most=8)
    (8, None)

    Args:
        enough: False up to some count, true from there on.
        least: Where the search begins.
        most: Where it gives up: the first doubling beyond it.
    """
    high = least
    while not enough(high):
        high *= 2
        if high > most:
            return None
    low = max(least, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


def _check(alpha: float, power: float) -> None:
    if not 0 < alpha < 1 or not 0 < power < 1:
        raise FormulaError(f"alpha={alpha:g}, power={power:g}: wanted fractions between 0 and 1, such as 0.05 and 0.8")
