"""The pairwise plan: base, every layer alone, every pair, and all together once as a check.

It has 1 + k + k(k-1)/2 cells and the check, where a full factorial has 2^k. ``composition.pairwise`` predicts the rest; the
check says how far it is off where it matters most.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from deltastack.errors import ParamsError
from deltastack.model import cell_name

LEAST = 3
"""Of two layers the pair is the joint run: nothing is predicted."""
WHEN = (
    "when: three layers or more, each pair measured in the setting that counts; `deltastack published` shows where it holds and "
    "that it fails at concurrency 1: there, and where the check is off, run every cell"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwisePlan:
    """The cells to run, in the order of size."""

    layers: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    """The layers that are on; the last one is the check."""

    @property
    def all_cells(self) -> int:
        """Cells of the full factorial."""
        return int(2 ** len(self.layers))

    @property
    def words(self) -> str:
        """The plan in a sentence."""
        pairs = len(self.layers) * (len(self.layers) - 1) // 2
        return (
            f"pairwise plan: {len(self.cells)} of {self.all_cells} cells: the base, {len(self.layers)} alone, {pairs} pairs, and "
            "all together once as a check"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The cells by name."""
        return tuple(cell_name(c) for c in self.cells)

    def csv(self) -> str:
        """A table to fill in, one row a cell, for ``deltastack factorial``."""
        rows = [",".join(str(int(x in cell)) for x in self.layers) for cell in self.cells]
        return "\n".join([",".join((*self.layers, "repeat", "metric")), *(f"{r},1," for r in rows)])


def pairwise_plan(layers: tuple[str, ...]) -> PairwisePlan:
    """The pairwise plan of some layers.

    >>> len(pairwise_plan(("a", "b", "c", "d")).cells)
    12

    Raises:
        ParamsError: Fewer than three layers, or one named twice.
    """
    if len(layers) < LEAST or len(set(layers)) < len(layers):
        shown = ", ".join(layers) or "none"
        raise ParamsError(f"layers {shown}: wanted {LEAST} or more different ones; two layers need all 4 cells")
    chosen = [c for n in range(3) for c in combinations(layers, n)]
    return PairwisePlan(layers=layers, cells=(*chosen, layers))
