"""An estimate with its interval, and the t interval of a mean that the others rest on.

    mean ± t(n - 1) * s / √n

Source: Student, Biometrika 6(1), 1908.  Assumes: independent replicates, near enough to normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from deltastack.composition import domain
from deltastack.errors import FormulaError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Array = NDArray[np.float64]


LEAST = 2
"""Fewer replicates show no spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One estimate and the interval that should hold the truth in ``confidence`` of all repetitions."""

    estimate: float
    low: float
    high: float
    confidence: float
    n: int
    """Replicates behind it."""
    method: str

    def __post_init__(self) -> None:
        """Refuse ends that are not finite or not in order.

        Raises:
            FormulaError: The interval is none.
        """
        if not all(map(math.isfinite, (self.estimate, self.low, self.high))) or self.low > self.high:
            raise FormulaError(f"{self.method} of {self.n}: no interval: {self.low:g} to {self.high:g} about {self.estimate:g}")
        checked_confidence(self.confidence)

    @property
    def half_width(self) -> float:
        """Half of high - low."""
        return (self.high - self.low) / 2

    def saving(self) -> Interval:
        """The saving 1 - r of an interval for the ratio r = optimized / base; the ends change places."""
        return Interval(
            estimate=1 - self.estimate,
            low=1 - self.high,
            high=1 - self.low,
            confidence=self.confidence,
            n=self.n,
            method=self.method,
        )


class Bounds(NamedTuple):
    """Estimates and ends of many intervals at once, all (S,) or ()."""

    estimate: Array
    low: Array
    high: Array

    def interval(self, *, confidence: float, n: int, method: str) -> Interval:
        """The one interval that these bounds, all (), are."""
        ends = (float(x) for x in self)
        return Interval(**dict(zip(("estimate", "low", "high"), ends, strict=True)), confidence=confidence, n=n, method=method)


def replicates(values: ArrayLike, name: str, *, least: int = LEAST, why: str = "fewer show no spread") -> Array:
    """``values`` as finite replicates on the first axis, (n, ...), at least ``least`` of them.

    Raises:
        FormulaError: Too few, empty or not finite.
    """
    found = domain.numbers(values, name, axes=1)
    if len(found) < least:
        raise FormulaError(f"{name}: {len(found)} replicates, wanted at least {least}: {why}")
    return found


def checked_confidence(confidence: float) -> float:
    """``confidence`` itself, if it lies between 0 and 1.

    Raises:
        FormulaError: It does not.
    """
    if not 0 < confidence < 1:
        raise FormulaError(f"confidence: found {confidence:g}, wanted a fraction between 0 and 1, such as 0.95")
    return confidence


def mean_bounds(values: ArrayLike, *, confidence: float = 0.95) -> Bounds:
    """Mean ± t(n - 1) s / √n over the first axis of ``values``, (n,) or (n, S).

    Raises:
        FormulaError: Fewer than two replicates, not finite, or no confidence.
    """
    found = replicates(values, "values")
    n, middle = len(found), found.mean(axis=0)
    half = stats.t.ppf((1 + checked_confidence(confidence)) / 2, n - 1) * found.std(axis=0, ddof=1) / math.sqrt(n)
    return Bounds(middle, middle - half, middle + half)


def mean_interval(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """The t interval of the mean of ``values``, (n,).

    1, 2, 3: mean 2, s = 1, t(2) = 4.303, so 2 ± 2.484:

    >>> found = mean_interval([1.0, 2.0, 3.0])
    >>> round(found.low, 3), found.estimate, round(found.high, 3)
    (-0.484, 2.0, 4.484)

    Raises:
        FormulaError: As ``mean_bounds``.
    """
    found = replicates(values, "values")
    return mean_bounds(found, confidence=confidence).interval(confidence=confidence, n=len(found), method="t")
