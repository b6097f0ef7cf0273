"""How long a measurement would have to be, to tell whether a formula holds.

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

from deltastack.analysis.formula_totals import gap_units
from deltastack.model import Resource

if TYPE_CHECKING:
    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.formula_totals import Estimate
    from deltastack.analysis.results import Results

LEAST, MOST = 2, 10_000_000
LONG = "long"


class Need(NamedTuple):
    """What telling takes; minutes are None where the time of a block is not known."""

    blocks: int
    minutes: float | None


def blocks_needed(half_width: float, blocks: int, wanted: float, confidence: float) -> int | None:
    """The least number of blocks (or starts) with a half-width of no more than ``wanted``; None beyond ten million.

    By hand: 4 blocks of half-width t(3) = 3.182, so s = 2; a half-width of 1 takes 18 blocks: t(17) = 2.110, 2.110 x 2 / √18.

    >>> blocks_needed(3.1824, 4, 1.0, 0.95)
    18
    """
    spread = half_width * math.sqrt(blocks) / _t(blocks, confidence)
    high = LEAST
    while _t(high, confidence) * spread / math.sqrt(high) > wanted:
        high *= 2
        if high > MOST:
            return None
    low = max(LEAST, high // 2)
    while low < high:
        middle = (low + high) // 2
        enough = _t(middle, confidence) * spread / math.sqrt(middle) <= wanted
        low, high = (low, middle) if enough else (middle + 1, high)
    return high


def need(results: Results, f: Factorial, gap: Estimate, wanted: float) -> Need | None:
    """What a half-width of ``wanted`` takes of the product's gap; None for draws, without an interval, or beyond any length."""
    if f.drawn or gap.low is None or gap.high is None or wanted <= 0:
        return None
    units = gap_units(f, "independent")
    found = blocks_needed((gap.high - gap.low) / 2, units, wanted, results.stack.confidence)
    if found is None:
        return None
    blocks, seconds = math.ceil(found * f.amounts.shape[-1] / units), _block_s(results, f)
    return Need(blocks, None if seconds is None else blocks * seconds / 60)


def words(results: Results, f: Factorial, gap: Estimate) -> str | None:
    """What would tell a verdict that could not be told; None where nothing can be said of it."""
    if f.drawn:
        return "a longer run would not narrow it" if gap.low is not None else None
    tolerance = results.stack.tolerance
    any_gap, this_gap = (need(results, f, gap, w) for w in (tolerance, abs(abs(gap.value) - tolerance)))
    if any_gap is None:
        return None
    told = f"{_told(any_gap)} would tell at ±{100 * tolerance:.1f} points"
    if this_gap is not None and this_gap.blocks < any_gap.blocks:
        told += f", {_told(this_gap)} that it {'fails' if abs(gap.value) > tolerance else 'holds'} if the gap is what it seems"
    there = results.joint_s.get(LONG)
    return told if there is None else f"{told}; BUDGET=long has {there / 60:.0f}"


def _told(n: Need) -> str:
    return f"about {n.blocks:,} blocks" if n.minutes is None else f"about {max(1, round(n.minutes)):,} minutes of runs"


def _block_s(results: Results, f: Factorial) -> float | None:
    """Mean seconds of all runs of one block, the base's twin among them."""
    table = results.joint[f.bench]
    times = table[(table["operating_point"] == f.operating_point) & (table["resource"] == str(Resource.TIME_S))]
    if times.empty or times["amount"].isna().any():
        return None
    runs = times.groupby(["replicate", "block", "cell", "position"])["amount"].sum()
    twin = float(runs.xs("base", level="cell").mean()) if results.floors.get(f.bench) else 0.0
    return float(runs.groupby(["replicate", "block"]).sum().mean()) + twin


def _t(blocks: int, confidence: float) -> float:
    return float(stats.t.ppf((1 + confidence) / 2, blocks - 1))
