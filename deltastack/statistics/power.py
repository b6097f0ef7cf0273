"""How small a saving can be seen, and how many replicates it takes.

Two arms of n, coefficient of variation cv (the standard deviation of the log amount), a saving Δ:

    n = 2 ((z_{1-α/2} + z_power) cv / Δ)²

n pairs whose log ratios have standard deviation s see, with the t quantiles of n - 1 degrees,

    |ln(1 - Δ)| = (t_{1-α/2} + t_power) s / √n

Source: Lehr, Statistics in Medicine 11, 1992 (n = 16 (cv / Δ)² is this at 80 % and 5 %, rounded);
S. Julious, Statistics in Medicine 23, 2004.  Assumes: normal; the t form is exact to about one pair.
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
_MOST = 10_000_000


def replicates_needed(delta: float, *, cv: float, alpha: float = ALPHA, power: float = POWER, family: int = 1) -> int:
    """Replicates in each of two unpaired arms that show a saving of ``delta``; ``family`` tests share alpha (Bonferroni).

    2 (1.960 + 0.842)² = 15.70, so a 1 % saving at a cv of 1 % takes 16 an arm, at 2 % 63:

    >>> replicates_needed(0.01, cv=0.01), replicates_needed(0.01, cv=0.02)
    (16, 63)

    Raises:
        FormulaError: No saving to see, a negative cv, or no probabilities.
    """
    _check(alpha, power)
    if delta == 0 or not math.isfinite(delta) or not 0 <= cv < math.inf or family < 1:
        raise FormulaError(
            f"replicates_needed({delta:g}, cv={cv:g}, family={family}): wanted a saving, a cv and a count of tests"
        )
    both = float(stats.norm.ppf(1 - alpha / family / 2) + stats.norm.ppf(power))
    return max(LEAST, math.ceil(2 * (both * cv / delta) ** 2))


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


def pairs_needed(delta: float, *, sd: float, alpha: float = ALPHA, power: float = POWER) -> int:
    """The least number of pairs whose ``minimum_detectable_delta`` is no more than ``delta``.

    Raises:
        FormulaError: A saving outside 0..1, a negative sd, no probabilities, or more than 10 million pairs.
    """
    if not 0 < delta < 1:
        raise FormulaError(f"pairs_needed({delta:g}): wanted a saving between 0 and 1")
    found = least_count(lambda n: minimum_detectable_delta(sd, n, alpha=alpha, power=power) <= delta, least=LEAST, most=_MOST)
    if found is None:
        raise FormulaError(f"pairs_needed({delta:g}, sd={sd:g}): more than {_MOST} pairs; ask for a larger saving")
    return found


def _check(alpha: float, power: float) -> None:
    if not 0 < alpha < 1 or not 0 < power < 1:
        raise FormulaError(f"alpha={alpha:g}, power={power:g}: wanted fractions between 0 and 1, such as 0.05 and 0.8")
