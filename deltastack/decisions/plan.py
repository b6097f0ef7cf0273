"""What a factorial will cost and what it can tell, before anything runs.

Fleet: cells x draws at the pace of the last run; a simulation has no noise, so its draws bound what the model does not know.
Testbed: blocks = budget / (runs a block x seconds a run), one of the runs the base's A/A twin. With s the standard deviation of
the log ratio of two equal runs (A/A), B blocks, and b and a runs a block of the base and of a layer alone, the least Δ that is
seen with 80 % power at 5 % follows from the standard deviation of one block's estimate (the last two as if every cell ran once:
at most a little too wide):

    a layer alone  s √((1/b + 1/a) / 2)     averaged over contexts  s / √(cells / 2)     interaction of a pair  s √(8 / cells)

Source: ``statistics.minimum_detectable_delta``; variances of contrasts of independent cells (Jain 1991, ch. 17).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from deltastack import statistics
from deltastack.model import Bench, cell_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.testbed.settings import Repeats

UNKNOWN_PACE = "not known until this bench has run once"
UNKNOWN_NOISE = "not known until an A/A measurement is there: deltastack measure --cells base,base"
NO_NOISE = "a simulation has no noise: the same seed gives the same amounts"
TOO_FEW = "fewer than two blocks fit into the budget: no interval at all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long one run of one cell took last time, and where that was read."""

    run_s: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One bench: what will be run, how long it takes, and the least Δ that it shows; None with its reason."""

    bench: Bench
    cells: int
    samples: int | None
    """Draws of the model (fleet), blocks of runs (testbed)."""
    minutes: float | None
    alone: float | None
    averaged: float | None
    interaction: float | None
    """Least detectable Δ of a layer alone, averaged over contexts, and of an interaction, as fractions."""
    reasons: tuple[str, ...]


def fleet(*, cells: int, draws: int, pace: Pace | None) -> Forecast:
    """The factorial that is simulated."""
    minutes = None if pace is None else cells * draws * pace.run_s / 60
    reasons = (NO_NOISE, f"time: {UNKNOWN_PACE}" if pace is None else f"pace: {pace.source}")
    return Forecast(
        bench=Bench.FLEET,
        cells=cells,
        samples=draws,
        minutes=minutes,
        alone=None,
        averaged=None,
        interaction=None,
        reasons=reasons,
    )


def testbed(  # noqa: PLR0913 - one keyword a fact of the bench
    *,
    layers: Sequence[str],
    repeats: Repeats,
    budget_s: float,
    pace: Pace | None,
    sd_log: float | None,
    mechanisms: Sequence[str],
) -> Forecast:
    """The factorial that is measured within ``budget_s``.

    Args:
        layers: All sets of them are run.
        repeats: Runs a block of the base, of one layer alone, of all together; every other set once.
        budget_s: Seconds of runs.
        pace: Of one run, if known.
        sd_log: Standard deviation of the log ratios of an A/A run, if known.
        mechanisms: Those that are run alone, once a block each.
    """
    cells = 1 << len(layers)
    more = repeats.of(cell_name(x) for n in range(len(layers) + 1) for x in combinations(layers, n))
    runs = 1 + cells + len(mechanisms) + sum(n - 1 for n in more.values())
    blocks = None if pace is None else int(budget_s / (runs * pace.run_s))
    alone = (1 / repeats.base + 1 / repeats.alone) / 2
    reasons = [f"blocks: {UNKNOWN_PACE}" if pace is None else f"pace: {pace.source}"]
    least: tuple[float | None, ...] = (None, None, None)
    if sd_log is None:
        reasons.append(f"least Δ: {UNKNOWN_NOISE}")
    elif blocks is not None and blocks < 2:  # noqa: PLR2004 - one block shows no spread
        reasons.append(TOO_FEW)
    elif blocks is not None:
        spreads = (sd_log * math.sqrt(alone), sd_log / math.sqrt(cells / 2), sd_log * math.sqrt(8 / cells))
        least = tuple(statistics.minimum_detectable_delta(s, blocks) for s in spreads)
    return Forecast(
        bench=Bench.TESTBED,
        cells=cells + len(mechanisms),
        samples=blocks,
        minutes=budget_s / 60,
        alone=least[0],
        averaged=least[1],
        interaction=least[2] if cells > 2 else None,  # noqa: PLR2004 - one layer has no pair
        reasons=tuple(reasons),
    )
