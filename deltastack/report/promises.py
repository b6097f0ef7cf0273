"""How often a formula promises more than the joint run gives: a count of draws, or a share of resamples of the blocks.

Fleet: over the draws of the model's parameters, each with its own product and its own joint result. Testbed: blocks are drawn
with replacement, all cells of a block together, ``RESAMPLES`` times; gap of the ratio of their means.

Source: B. Efron, Annals of Statistics 7, 1979. Assumes: blocks that can be exchanged; few blocks give few different resamples.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack.errors import FormulaError
from deltastack.report.totals import values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.report.cells import Factorial

RESAMPLES = 2000
_NOTHING = 5e-4
"""A gap that prints as 0.0 points is no promise."""


class Promise(NamedTuple):
    """In how many of so many samples one formula says more than the joint run gives."""

    formula: str
    more: int
    of: int
    blocks: int | None
    """Blocks that were resampled; None where samples are draws of a model."""

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
        return f"in {100 * self.share:.0f} % of {self.of:,} resamples of {self.blocks} blocks"


def promises(f: Factorial, seed: int = 0) -> dict[str, Promise]:
    """One row a formula that can be formed; none for a single sample or layer, or where nothing is spent in the base."""
    samples = f.amounts.shape[-1]
    if samples == 1 or len(f.layers) == 1:
        return {}
    many = f if f.drawn else replace(f, amounts=_resampled(f.amounts, seed))
    try:
        found = values(many)
    except FormulaError:
        return {}
    joint = found.pop("joint")
    blocks = None if f.drawn else samples
    return {n: Promise(n, int(np.count_nonzero(v - joint > _NOTHING)), joint.size, blocks) for n, v in found.items()}


def _resampled(amounts: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Mean amounts (2^k, C, RESAMPLES) of blocks (2^k, C, S) that are drawn with replacement."""
    blocks = amounts.shape[-1]
    times = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), RESAMPLES)
    found: NDArray[np.float64] = amounts @ times.T / blocks
    return found
