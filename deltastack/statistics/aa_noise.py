"""The noise floor: what two identical cells seem to differ by, and so what can be resolved at all.

    r_b = ln(amount of A in block b) - ln(amount of A' in block b)        b = 1..n

An A/A interval is the paired log-ratio interval of r. The minimum detectable Δ of a comparison with n blocks at
significance a and power p is, with s the standard deviation of r,

    MDE = 1 - exp(-(t_{1-a/2, n-1} + t_{p, n-1}) s / sqrt(n))

Source: Jain (1991) ch. 13; Chow, Shao & Wang, Sample Size Calculations in Clinical Research, ch. 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from deltastack.errors import EvidenceError
from deltastack.outcomes import Resolution
from deltastack.statistics.interval import LEAST
from deltastack.statistics.power import least_count, minimum_detectable_delta

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MILD_FENCE, SEVERE_FENCE = 1.5, 3.0
"""Interquartile ranges beyond the quartiles. Source: Tukey, Exploratory Data Analysis (1977)."""
DRIFT_ALPHA = 0.01


class Outlier(StrEnum):
    """How far a run lies from its cell; a run is classified, never dropped."""

    NONE = "none"
    MILD = "mild"
    SEVERE = "severe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The noise floor of one resource: n pairs, their spread in log ratio, the A/A interval as Δ."""

    pairs: int
    sd_log: float
    delta: float
    low: float
    high: float
    minimum_detectable: float

    @property
    def largest(self) -> float:
        """The largest Δ of either sign that two equal cells may show, a fraction: what a Δ has to exceed."""
        return max(abs(self.low), abs(self.high))

    @property
    def half_width(self) -> float:
        """Half the A/A interval, as a fraction."""
        return (self.high - self.low) / 2


def floor(first: ArrayLike, second: ArrayLike, *, confidence: float = 0.95, power: float = 0.8) -> Floor:
    """The noise floor from two cells that are the same, (n,) each, paired by block, all positive.

    Raises:
        EvidenceError: Fewer than two pairs, different lengths, or an amount that is not positive.
    """
    log_ratio = _log_ratios(first, second)
    n = log_ratio.size
    sd = float(log_ratio.std(ddof=1))
    t = float(stats.t.ppf((1 + confidence) / 2, n - 1))
    mean, half = float(log_ratio.mean()), t * sd / math.sqrt(n)
    return Floor(
        pairs=n,
        sd_log=sd,
        delta=-math.expm1(-mean),
        low=-math.expm1(-(mean - half)),
        high=-math.expm1(-(mean + half)),
        minimum_detectable=minimum_detectable_delta(sd, n, alpha=1 - confidence, power=power),
    )


def pairs_needed(sd_log: float, delta: float, *, confidence: float = 0.95, power: float = 0.8, limit: int = 1_000_000) -> int:
    """Fewest pairs at which the minimum detectable Δ is at most ``delta``.

    Raises:
        EvidenceError: Not even ``limit`` pairs show it.
    """
    found = least_count(
        lambda n: minimum_detectable_delta(sd_log, n, alpha=1 - confidence, power=power) <= delta, least=LEAST, most=limit
    )
    if found is None:
        raise EvidenceError(f"a saving of {delta:.3%} is not shown by {limit} pairs at a spread of {sd_log:.3f}")
    return found


def resolve(delta: float, low: float, high: float, noise: Floor) -> Resolution:
    """What a Δ and its interval allow to say, given the noise floor.

    A Δ that lies inside what two identical cells may differ by is not resolved, however narrow its own interval is.
    """
    if abs(delta) <= noise.largest:
        return Resolution.NOT_RESOLVED
    if low > 0:
        return Resolution.SAVES
    return Resolution.COSTS if high < 0 else Resolution.NOT_RESOLVED


def resolution(delta: float, low: float | None, high: float | None, noise: Floor | None = None) -> Resolution:
    """What a saving with its interval may be called: an interval that holds 0 is neither a saving nor a cost.

    With a noise floor, nor is a Δ that lies inside what two equal cells may differ by.

    >>> [str(resolution(*x)) for x in ((0.1, 0.05, 0.2), (-0.1, -0.2, 0.1), (-0.1, -0.2, -0.05), (1e-6, None, None))]
    ['saves', 'not resolved', 'costs', 'no change']
    """
    if not round(delta, 4):
        return Resolution.NO_CHANGE
    if low is not None and high is not None:
        if noise is not None:
            return resolve(delta, low, high, noise)
        if low <= 0 <= high:
            return Resolution.NOT_RESOLVED
    return Resolution.COSTS if delta < 0 else Resolution.SAVES


def outliers(amounts: ArrayLike) -> list[Outlier]:
    """Each of (n,) positive amounts, classified by Tukey's fences on the logarithm."""
    log = np.log(np.asarray(amounts, dtype=float))
    low, high = np.quantile(log, [0.25, 0.75])
    beyond = np.maximum(low - log, log - high) / max(high - low, np.finfo(float).tiny)
    return [Outlier.SEVERE if b > SEVERE_FENCE else Outlier.MILD if b > MILD_FENCE else Outlier.NONE for b in beyond]


def drift_per_run(amounts: ArrayLike) -> tuple[float, bool]:
    """Relative change from run to run of (n,) amounts in order of time, and whether it is there (Kendall, p < 0.01).

    The slope is Theil and Sen's on the logarithm, so single outliers do not make a drift.

    Raises:
        EvidenceError: Fewer than four runs.
    """
    log = np.log(np.asarray(amounts, dtype=float))
    if log.size < 4:  # noqa: PLR2004 - Kendall's test says nothing below
        raise EvidenceError(f"a drift needs at least four runs, found {log.size}")
    position = np.arange(log.size)
    slope = float(stats.theilslopes(log, position).slope)
    p = float(stats.kendalltau(position, log).pvalue)
    return math.expm1(slope), p < DRIFT_ALPHA


def _log_ratios(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 1 or a.size < 2:  # noqa: PLR2004 - a spread needs two
        raise EvidenceError(f"pairs need two series of one length, at least 2; found {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all() and (a > 0).all() and (b > 0).all()):
        raise EvidenceError("a log ratio needs positive finite amounts: an exact meter that reads 0 is compared, not divided")
    log: NDArray[np.float64] = np.log(a) - np.log(b)
    return log
