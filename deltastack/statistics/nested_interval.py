"""The interval of a log ratio whose replicates are nested in process starts.

With P pairs in each of S starts, r_sp = m + a_s + e_sp. The variance of the mean comes from the mean square between
starts if starts differ (F test at POOLING_ALPHA), with S - 1 degrees of freedom; otherwise both mean squares are pooled.

Source: Bancroft, Biometrics 20 (1964): pool a preliminary test at a large alpha; Kalibera & Jones, arXiv 2007.10899: a
process start is a random effect, so pairs inside one start are not independent evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import stats

from deltastack.errors import EvidenceError
from deltastack.statistics import aa_noise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from deltastack.statistics.aa_noise import Floor

POOLING_ALPHA = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    """Δ with its interval, as fractions; ``pairs`` in ``starts`` process starts, and whether these were pooled."""

    delta: float
    low: float
    high: float
    pairs: int
    starts: int
    pooled: bool

    @property
    def half_width(self) -> float:
        """Half the interval."""
        return (self.high - self.low) / 2


class Mean(NamedTuple):
    """A mean with its standard error, half its interval, and whether process starts were pooled."""

    value: float
    half_width: float
    pooled: bool
    error: float
    freedom: int
    """Degrees of freedom: one less than there are units, values or starts."""

    @property
    def p(self) -> float:
        """P of Student's t for a mean of 0, two-sided; without spread 0 or 1."""
        if self.error == 0:
            return float(self.value == 0)
        return float(2 * stats.t.sf(abs(self.value) / self.error, self.freedom))


def mean_of(values: Sequence[ArrayLike], *, confidence: float = 0.95) -> Mean:
    """The mean of values that are nested in process starts, one (P_s,) series a start.

    Raises:
        EvidenceError: Fewer than two values in all, an empty start, or a value that is not finite.
    """
    groups = [np.asarray(g, dtype=float) for g in values]
    every = np.concatenate(groups) if groups else np.empty(0)
    if every.size < 2 or any(g.size == 0 for g in groups):  # noqa: PLR2004 - a spread needs two
        raise EvidenceError(f"an interval needs at least two pairs and none in an empty start; found {[g.size for g in groups]}")
    if not np.isfinite(every).all():
        raise EvidenceError("a value that is not finite: an amount of its ratio was zero, negative or missing")
    squared_error, freedom, pooled = _variance_of_mean(groups, every)
    error = math.sqrt(squared_error)
    half = student(freedom, confidence) * error
    return Mean(float(every.mean()), half, pooled, error, freedom)


def student(freedom: int, confidence: float) -> float:
    """Student's t of a two-sided interval.

    >>> round(student(2, 0.95), 3)
    4.303
    """
    return float(stats.t.ppf((1 + confidence) / 2, freedom))


def widest(values: NDArray[np.floating[Any]], nests: Iterable[NDArray[np.intp]]) -> list[NDArray[np.floating[Any]]]:
    """Values grouped by the widest nest whose groups differ beyond their values; by the narrowest where none does.

    Args:
        values: (S,).
        nests: The widest first, (S,) numbers from 0 each; none: one group of all values.

    Raises:
        EvidenceError: As ``mean_of``.
    """
    groups = [[values[nest == i] for i in range(int(nest.max()) + 1)] for nest in nests] or [[values]]
    return next((g for g in groups if not mean_of(g).pooled), groups[-1])


def widest_mean(values: NDArray[np.floating[Any]], nests: Iterable[NDArray[np.intp]], *, confidence: float = 0.95) -> Mean:
    """The mean of values (S,), over the widest nest that differs (``widest``).

    Raises:
        EvidenceError: As ``mean_of``.
    """
    return mean_of(widest(values, nests), confidence=confidence)


def interval(log_ratios: Sequence[ArrayLike], *, confidence: float = 0.95) -> Nested:
    """Δ from ln(optimized / base), one (P_s,) series a process start.

    Raises:
        EvidenceError: As ``mean_of``.
    """
    mean = mean_of(log_ratios, confidence=confidence)
    return Nested(
        delta=-math.expm1(mean.value),
        low=-math.expm1(mean.value + mean.half_width),
        high=-math.expm1(mean.value - mean.half_width),
        pairs=sum(np.size(g) for g in log_ratios),
        starts=len(log_ratios),
        pooled=mean.pooled,
    )


def twin_floor(log_ratios: Sequence[ArrayLike]) -> Floor:
    """The A/A floor from ln(twin / base), one (P_s,) series a process start.

    Where process starts differ beyond what their pairs explain, a start is the unit and not a pair: the floor is then that
    of the starts' means, wider and over fewer units.

    Raises:
        EvidenceError: As ``interval``.
    """
    groups = [np.asarray(g, dtype=float) for g in log_ratios]
    units = np.concatenate(groups) if interval(groups).pooled else np.array([g.mean() for g in groups])
    return aa_noise.floor(np.ones(len(units)), np.exp(units))


def _variance_of_mean(groups: list[np.ndarray], every: np.ndarray) -> tuple[float, int, bool]:
    """Squared standard error of the mean, its degrees of freedom, and whether starts were pooled."""
    n, s = every.size, len(groups)
    total = float(every.var(ddof=1)) / n
    within_freedom = n - s
    if s == 1 or within_freedom < 1:
        return total, n - 1, True
    between = sum(g.size * (g.mean() - every.mean()) ** 2 for g in groups) / (s - 1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / within_freedom
    if within == 0:
        return float(between / n), s - 1, False
    if stats.f.sf(between / within, s - 1, within_freedom) < POOLING_ALPHA:
        return float(between / n), s - 1, False
    return total, n - 1, True
