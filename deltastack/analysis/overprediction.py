"""How often a formula predicts more than the joint run gives: a count of draws, or a share of resamples of the blocks.

Fleet: over the draws of the model's parameters, each with its own product and its own joint result. Testbed: blocks are drawn
with replacement, all cells of a block together, ``RESAMPLES`` times; gap of the ratio of their means. Where process starts differ
or pairs of blocks differ beyond their blocks (``Total.units``), these are drawn whole.

Source: B. Efron, Annals of Statistics 7, 1979. Assumes: blocks that can be exchanged; few blocks give few different resamples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack.analysis.formula_totals import values
from deltastack.outcomes import Formula

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.formula_totals import Total

RESAMPLES = 2000
_NOTHING = 5e-4
"""A gap that prints as 0.0 points is not counted."""


class Overprediction(NamedTuple):
    """In how many samples one formula predicts more than the joint run gives."""

    formula: Formula
    more: int
    of: int
    units: int | None
    """Blocks, pairs of blocks or process starts that were resampled; None where samples are draws of a model."""
    unit: str = "blocks"

    @property
    def rate(self) -> float:
        """As a fraction."""
        return self.more / self.of


def overpredictions(f: Factorial, totals: Mapping[Formula, Total], seed: int = 0) -> dict[Formula, Overprediction]:
    """One entry a formula that has a total; empty for a single sample or layer, or where the base spends nothing."""
    if f.amounts.shape[-1] == 1 or len(f.layers) == 1:
        return {}
    known = [t for t in totals.values() if t.gap is not None]
    if f.drawn:
        counts = _counts(f) if known else {}
        return {t.formula: Overprediction(t.formula, counts[t.formula], f.amounts.shape[-1], None) for t in known}
    nests = f.nests | {"blocks": np.arange(f.amounts.shape[-1])}
    of = {int(unit.max()) + 1: (unit, name) for name, unit in nests.items()}
    many = {n: _counts(f.weighted(_weights(of[n][0], seed))) for n in {t.units for t in known if t.units is not None}}
    return {
        t.formula: Overprediction(t.formula, many[t.units][t.formula], RESAMPLES, t.units, of[t.units][1])
        for t in known
        if t.units is not None
    }


def _counts(f: Factorial) -> dict[str, int]:
    """In how many samples each formula predicts more."""
    found = values(f)
    return {n: int(np.count_nonzero(v - found[Formula.JOINT] > _NOTHING)) for n, v in found.items()}


def _weights(unit: NDArray[np.intp], seed: int) -> NDArray[np.float64]:
    """Weights (S, RESAMPLES) of blocks whose units are drawn with replacement, each block's unit (S,) given."""
    units = int(unit.max()) + 1
    times = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), RESAMPLES)[:, unit]
    found: NDArray[np.float64] = (times / times.sum(axis=1, keepdims=True)).T
    return found
