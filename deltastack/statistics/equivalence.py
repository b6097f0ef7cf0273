"""No effect is claimed by equivalence: two one-sided tests (TOST) with a stated margin.

|Δ| < m means that the log ratio d = ln(1 - Δ) lies between ln(1 - m) and ln(1 + m). Both "d is at
the low end or below" and "d is at the high end or above" must be rejected:

    t_low = (mean d - ln(1 - m)) / (s/√n),   t_high = (ln(1 + m) - mean d) / (s/√n),   p = max of both p

Source: D. Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15, 1987.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy import stats

from deltastack.errors import FormulaError
from deltastack.statistics.ratio import log_ratio, logs_of_pairs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from deltastack.statistics.interval import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """Whether |Δ| < margin was shown, with its p and the 1 - 2α interval that says the same."""

    equivalent: bool
    p: float
    margin: float
    interval: Interval


def equivalent(base: ArrayLike, optimized: ArrayLike, *, margin: float, alpha: float = 0.05) -> Equivalence:
    """Whether n pairs, (n,) each, show that the saving lies inside ± ``margin``.

    Raises:
        FormulaError: As ``log_ratio``; a margin outside 0..1 or an alpha outside 0..0.5.
    """
    if not 0 < margin < 1:
        raise FormulaError(f"margin: found {margin:g}, wanted a fraction between 0 and 1, such as 0.01")
    if not 0 < alpha < 0.5:  # noqa: PLR2004 - at a half the 1 - 2α interval is empty
        raise FormulaError(f"alpha: found {alpha:g}, wanted a fraction between 0 and 0.5, such as 0.05")
    d = logs_of_pairs(base, optimized)
    n, mean = len(d), float(d.mean())
    error = float(d.std(ddof=1)) / math.sqrt(n)
    low, high = mean - math.log1p(-margin), math.log1p(margin) - mean
    p = max(_upper(low, error, n - 1), _upper(high, error, n - 1))
    return Equivalence(equivalent=p < alpha, p=p, margin=margin, interval=log_ratio(base, optimized, confidence=1 - 2 * alpha))


def _upper(distance: float, error: float, freedom: int) -> float:
    """P(T >= distance / error); pairs without any spread leave no doubt."""
    if error == 0:
        return 0.0 if distance > 0 else 1.0
    return float(stats.t.sf(distance / error, freedom))
