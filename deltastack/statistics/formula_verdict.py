"""Whether a formula holds: its gap's interval, or its gaps over draws, against a tolerance; and when a measurement may say so.

A measured verdict has to be one that another run would print too. What a process start changes is in an interval only where
there are several; and a loud machine changes what is measured. So below ``LEAST_STARTS``, or on a loud machine, it is indicative.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import FormulaError
from deltastack.outcomes import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from deltastack.statistics.interval import Interval

LEAST_STARTS = 3
"""Two starts show a spread, but Student's t of one degree of freedom is 12.7: nothing could be told by it."""
NOT_RECORDED = "what else used the machine was not recorded"


ROUNDING = 1e-9
"""95 % of 20 draws are 19, whatever a float makes of it."""


def verdict(gap: Interval, tolerance: float) -> Verdict:
    """Holds: the interval lies inside ± tolerance. Fails: wholly outside. Else it is too wide to tell.

    Raises:
        FormulaError: A tolerance that is not positive.
    """
    _checked(tolerance)
    if -tolerance <= gap.low and gap.high <= tolerance:
        return Verdict.HOLDS
    if gap.low > tolerance or gap.high < -tolerance:
        return Verdict.FAILS
    return Verdict.UNDECIDED


def indicative(starts: int, loud: Sequence[str] | None) -> str | None:
    """Why a measurement may call nothing right or wrong; None where it may.

    >>> indicative(1, []), indicative(3, ["stolen time 4.0 %"]), indicative(3, [])
    ('1 of 3 process starts', 'loud machine: stolen time 4.0 %', None)

    Args:
        starts: Process starts behind it.
        loud: What else used the machine, in words; empty for a quiet one, None where nobody looked.
    """
    why = [] if starts >= LEAST_STARTS else [f"{starts} of {LEAST_STARTS} process starts"]
    if loud is None:
        why.append(NOT_RECORDED)
    elif loud:
        why.append(f"loud machine: {', '.join(loud)}")
    return "; ".join(why) or None


def log_tolerance(tolerance: float) -> float:
    """The tolerance of a log ratio: what a formula leaves may be so much more, or less, than what the joint run leaves.

    >>> round(log_tolerance(0.02), 4)
    0.0198
    """
    return math.log1p(tolerance)


def verdict_of_draws(gaps: ArrayLike, tolerance: float, share: float) -> tuple[Verdict, int]:
    """The verdict on a formula of a model whose parameters are drawn, and in how many draws it holds.

    It holds in a draw whose gap lies inside ± tolerance. Holds: in ``share`` of the draws at least. Fails: it does not hold in as
    many. Else which parameters are true decides it, and no longer run does.

    By hand: 19 of 20 draws inside, 95 % wanted: holds; 1 of 20: fails; 18 of 20: undecided.

    >>> verdict_of_draws([0.01, -0.02, 0.03], 0.02, 0.95)
    (<Verdict.UNDECIDED: 'undecided'>, 2)

    Raises:
        FormulaError: A tolerance that is not positive.
    """
    _checked(tolerance)
    inside = np.abs(np.asarray(gaps, dtype=np.float64)) <= tolerance
    held, wanted = int(inside.sum()), share * inside.size - ROUNDING
    if held >= wanted:
        return Verdict.HOLDS, held
    return (Verdict.FAILS if inside.size - held >= wanted else Verdict.UNDECIDED), held


def _checked(tolerance: float) -> None:
    if not tolerance > 0:
        raise FormulaError(f"tolerance: found {tolerance:g}, wanted a positive fraction, such as 0.02")
