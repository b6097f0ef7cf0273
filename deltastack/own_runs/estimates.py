"""Quantities with their intervals: over blocks where runs share them, else over the runs of each cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltastack import statistics
from deltastack.errors import FormulaError
from deltastack.own_runs.result import InteractionEstimate, SavingEstimate

if TYPE_CHECKING:
    from deltastack.own_runs.design import Design
    from deltastack.own_runs.experiment import Experiment
    from deltastack.own_runs.quantities import Quantity
    from deltastack.statistics import Interval

Array = NDArray[np.float64]

ONE_RUN = "n = 1: one number a cell shows no spread, so there is no interval; give two runs or more of every cell"
_TOO_MUCH = "the savings leave nothing, or more than everything, so the formula has no value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The log amounts of every cell."""

    design: Design
    cells: tuple[Array, ...]
    """One (n,) a cell, mechanisms last, empty where the cell was not run."""
    blocks: Array | None
    """(B, 2^k + mechanisms) where runs share blocks."""
    confidence: float

    def saving(self, quantity: Quantity) -> SavingEstimate:
        """A saving, or a gap, with its interval."""
        value, interval, n, reason = self._read(quantity)
        if value is None:
            return SavingEstimate(delta=None, lo=None, hi=None, n=n, reason=reason)
        ends = (None, None) if interval is None else (interval.low, interval.high)
        if quantity.logarithmic:
            value = -float(np.expm1(value))
            ends = (None, None) if interval is None else (-float(np.expm1(interval.high)), -float(np.expm1(interval.low)))
        return SavingEstimate(delta=value, lo=ends[0], hi=ends[1], n=n, reason=reason)

    def interaction(self, quantity: Quantity) -> InteractionEstimate:
        """A log interaction with its interval."""
        value, interval, _, reason = self._read(quantity)
        ends = (None, None) if interval is None else (interval.low, interval.high)
        return InteractionEstimate(value=value, lo=ends[0], hi=ends[1], reason=reason)

    def _read(self, quantity: Quantity) -> tuple[float | None, Interval | None, int, str | None]:
        lacking = [m for m in quantity.needs if not len(self.cells[m])]
        if lacking:
            return None, None, 0, f"not run: {self.design.words(lacking)}"
        try:
            return self._with_interval(quantity)
        except FormulaError:
            return None, None, 0, _TOO_MUCH

    def _with_interval(self, quantity: Quantity) -> tuple[float, Interval | None, int, str | None]:
        if self.blocks is not None:
            if len(self.blocks) == 1:
                return float(quantity.of(self.blocks[0])), None, 1, ONE_RUN
            found = statistics.jackknife(
                self.blocks[:, list(quantity.needs)],
                lambda rows: quantity.of(self._spread(quantity, rows.mean(axis=0))),
                confidence=self.confidence,
            )
            return found.estimate, found, found.n, None
        groups = [self.cells[m] for m in quantity.needs]
        n = min(map(len, groups))
        if n < 2:  # noqa: PLR2004 - one run shows no spread
            return float(quantity.of(self._spread(quantity, np.array([g.mean() for g in groups])))), None, n, ONE_RUN
        found = statistics.jackknife_groups(
            groups, lambda means: quantity.of(self._spread(quantity, means)), confidence=self.confidence
        )
        return found.estimate, found, n, None

    def _spread(self, quantity: Quantity, values: Array) -> Array:
        """The values of the cells that a quantity needs, at their places among all cells."""
        y = np.full(self.design.places, np.nan)
        y[list(quantity.needs)] = values
        return y


def sample_of(found: Experiment, design: Design, confidence: float) -> Sample:
    """The log amounts of an experiment."""
    blocks = found.blocks()
    return Sample(
        design=design,
        cells=tuple(found.logs(m) for m in range(design.places)),
        blocks=blocks,
        confidence=confidence,
    )
