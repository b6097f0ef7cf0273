"""Whether a formula holds: its gap's interval against a tolerance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.errors import FormulaError
from deltastack.outcomes import Verdict

if TYPE_CHECKING:
    from deltastack.statistics.interval import Interval


def verdict(gap: Interval, tolerance: float) -> Verdict:
    """Holds: the interval lies inside ± tolerance. Fails: wholly outside. Else it is too wide to tell.

    Raises:
        FormulaError: A tolerance that is not positive.
    """
    if not tolerance > 0:
        raise FormulaError(f"tolerance: found {tolerance:g}, wanted a positive fraction, such as 0.02")
    if -tolerance <= gap.low and gap.high <= tolerance:
        return Verdict.HOLDS
    if gap.low > tolerance or gap.high < -tolerance:
        return Verdict.FAILS
    return Verdict.UNDECIDED
