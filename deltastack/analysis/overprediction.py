"""How often a formula promises more than the joint run gives: a count of draws, or a share of resamples of the blocks.

Fleet: over the draws of the model's parameters, each with its own product and its own joint result. Testbed: blocks are drawn
with replacement, all cells of a block together, ``RESAMPLES`` times; gap of the ratio of their means. Where process starts differ
or pairs of blocks differ beyond their blocks (``totals.gap_units``), these are drawn whole.

Source: B. Efron, Annals of Statistics 7, 1979. Assumes: blocks that can be exchanged; few blocks give few different resamples.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack.analysis.formula_totals import gap_units, values
from deltastack.errors import FormulaError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.analysis.factorial import Factorial

RESAMPLES = 2000
_NOTHING = 5e-4
"""A gap that prints as 0.0 points is no promise."""


class Promise(NamedTuple):
    """In how many of so many samples one formula says more than the joint run gives."""

    formula: str
    more: int
    of: int
    blocks: int | None
    """Blocks, or process starts, that were resampled; None where samples are draws of a model."""
    unit: str = "blocks"

    @property
    def share(self) -> float:
        """As a fraction."""
        return self.more / self.of

    @property
    def short(self) -> str:
        """The same for a cell of a table: ``3 of 5``, ``95 %``."""
        return f"{self.more} of {self.of}" if self.blocks is None else f"{100 * self.share:.0f} %"

    @property
    def words(self) -> str:
        """Where it says more: a count of draws, a share of resamples.

        >>> Promise("independent", 4, 5, None).words, Promise("independent", 1900, 2000, 4).words
        ('in 4 of 5 draws', 'in 95 % of 2,000 resamples of 4 blocks')
        """
        if self.blocks is None:
            return f"in {self.more} of {self.of} draws"
        return f"in {100 * self.share:.0f} % of {self.of:,} resamples of {self.blocks} {self.unit}"


def promises(f: Factorial, seed: int = 0) -> dict[str, Promise]:
    """One row a formula that can be formed; none for a single sample or layer, or where nothing is spent in the base."""
    if f.amounts.shape[-1] == 1 or len(f.layers) == 1:
        return {}
    try:
        names = [n for n in values(f) if n != "joint"]
    except FormulaError:
        return {}
    if f.drawn:
        return {n: _promise(f, n, None) for n in names}
    nests = f.nests | {"blocks": np.arange(f.amounts.shape[-1])}
    of = {int(unit.max()) + 1: (_resampled(f, unit, seed), name) for name, unit in nests.items()}
    found = {}
    for n in names:
        units = gap_units(f, n)
        many, unit = of[units]
        found[n] = _promise(many, n, units, unit)
    return found


def _promise(many: Factorial, name: str, units: int | None, unit: str = "blocks") -> Promise:
    found = values(many)
    more = found[name] - found["joint"]
    return Promise(name, int(np.count_nonzero(more > _NOTHING)), more.size, units, unit)


def _resampled(f: Factorial, unit: NDArray[np.intp], seed: int) -> Factorial:
    """Mean amounts (2^k, C, RESAMPLES) of units of blocks that are drawn with replacement, each block's unit (S,) given."""
    units = int(unit.max()) + 1
    times = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), RESAMPLES)[:, unit]
    return replace(f, amounts=f.amounts @ (times / times.sum(axis=1, keepdims=True)).T)
