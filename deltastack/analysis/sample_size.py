"""Sample size needed to decide whether a formula holds.

With the half-width h of the gap's t interval over B blocks, one block's gap has s = h √B / t(B - 1), and the least B' that
makes the half-width no more than w is that with

    t(B' - 1) s / √B' <= w                       minutes = B' x seconds of all runs of a block / 60

Where process starts, or pairs of blocks, differ beyond their blocks, these are the units (``totals.mean_of``): B counts them, and
each takes the time of its blocks. w is the tolerance to know a gap of any size, or its distance from the tolerance to tell the
gap that was measured. From few blocks s itself is rough: of four, the truth lies between 0.57 and 3.7 times it (95 %, χ²), and
minutes go with its square.

Source: the t interval of ``statistics.mean_bounds``, solved for n. Assumes: more blocks are like those that were run.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from scipy import stats

from deltastack import statistics
from deltastack.model import Resource
from deltastack.outcomes import Verdict

if TYPE_CHECKING:
    import pandas as pd

    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.formula_totals import Total
    from deltastack.statistics import Estimate

LEAST, MOST = 2, 10_000_000
LONG = "long"


class Pace(NamedTuple):
    """How long a bench's measured factorial takes, and what a long run of it has."""

    block_s: float | None = None
    """Seconds of a block with all that lies around its runs; None: what its runs take one after another."""
    long_s: float | None = None


class SampleSize(NamedTuple):
    """What a decision takes; minutes are None where the time of a block is not known."""

    blocks: int
    minutes: float | None


class Outlook(NamedTuple):
    """How long a measurement would decide whether the product holds."""

    at_tolerance: SampleSize
    """To know a gap of any size to the tolerance."""
    at_gap: SampleSize | None
    """To decide about the gap that was measured; None unless it takes fewer blocks."""
    long_budget_s: float | None


def blocks_needed(half_width: float, blocks: int, wanted: float, confidence: float) -> int | None:
    """The least number of blocks (or starts) with a half-width of no more than ``wanted``; None beyond ten million.

    By hand: 4 blocks of half-width t(3) = 3.182, so s = 2; a half-width of 1 takes 18 blocks: t(17) = 2.110, 2.110 x 2 / √18.

    >>> blocks_needed(3.1824, 4, 1.0, 0.95)
    18
    """
    spread = half_width * math.sqrt(blocks) / _t(blocks, confidence)
    return statistics.least_count(lambda n: _t(n, confidence) * spread / math.sqrt(n) <= wanted, least=LEAST, most=MOST)


def outlook(  # noqa: PLR0913 - one keyword a part of the equation
    f: Factorial, product: Total, *, tolerance: float, confidence: float, block_s: float | None, long_budget_s: float | None
) -> Outlook | None:
    """What would decide an undecided verdict on the product; None for one that is decided, draws, or without an interval."""
    gap = product.gap
    if product.verdict is not Verdict.UNDECIDED or f.drawn or gap is None or gap.low is None or product.units is None:
        return None
    wanted = (tolerance, abs(abs(gap.value) - tolerance))
    any_gap, this_gap = (needed(f, gap, product.units, w, confidence, block_s) for w in wanted)
    if any_gap is None:
        return None
    shorter = this_gap if this_gap is not None and this_gap.blocks < any_gap.blocks else None
    return Outlook(any_gap, shorter, long_budget_s)


def needed(  # noqa: PLR0913, PLR0917 - one argument a part of the equation
    f: Factorial, gap: Estimate, units: int, wanted: float, confidence: float, block_s: float | None
) -> SampleSize | None:
    """What a half-width of ``wanted`` takes; None without an interval, or beyond ten million blocks."""
    if gap.low is None or gap.high is None or wanted <= 0:
        return None
    found = blocks_needed((gap.high - gap.low) / 2, units, wanted, confidence)
    if found is None:
        return None
    blocks = math.ceil(found * f.amounts.shape[-1] / units)
    return SampleSize(blocks, None if block_s is None else blocks * block_s / 60)


def block_seconds(table: pd.DataFrame, f: Factorial, *, twin: bool) -> float | None:
    """Mean seconds of all runs of one block, with the base's twin if there is one; None where times are missing."""
    times = table[(table["operating_point"] == f.operating_point) & (table["resource"] == str(Resource.TIME_S))]
    if times.empty or times["amount"].isna().any():
        return None
    runs = times.groupby(["replicate", "block", "cell", "position"])["amount"].sum()
    again = float(runs.xs("base", level="cell").mean()) if twin else 0.0
    return float(runs.groupby(["replicate", "block"]).sum().mean()) + again


def _t(blocks: int, confidence: float) -> float:
    return float(stats.t.ppf((1 + confidence) / 2, blocks - 1))
