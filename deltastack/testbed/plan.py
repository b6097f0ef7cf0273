"""The experiment plan: which cell runs when.

Randomised complete blocks: every block runs every cell once, in random order. Blocks come in pairs, the second in
the reverse order of the first (A-B-B-A for two cells), so that a drift that is linear in time cancels inside a pair.
Each process start opens with discarded warm-up runs and ends with a closing control: one more run of the first cell of
the plan, which differs from its runs in the blocks only by when it ran.

Source: Jain, The Art of Computer Systems Performance Analysis (1991), ch. 17-18; Kalibera & Jones, arXiv 2007.10899
(replicate process starts, not only runs).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from deltastack.errors import ParamsError


class Kind(StrEnum):
    """What a run is for."""

    WARM_UP = "warm_up"
    """Run and written down, never analysed."""
    RUN = "run"
    CONTROL = "control"
    """The first cell again after the last block."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Slot:
    """One run of one cell: process start, block in the start, position in the block (all from 0)."""

    start: int
    block: int
    position: int
    cell: str
    kind: Kind

    @property
    def key(self) -> str:
        """Unique in a plan; what the ledger remembers."""
        return f"{self.kind}/{self.start}/{self.block}/{self.position}/{self.cell}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Cells x blocks x process starts. Two cells of an A/A run carry different names (``base``, ``base#2``)."""

    cells: tuple[str, ...]
    starts: int
    block_pairs: int
    warm_ups: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a plan that measures nothing.

        Raises:
            ParamsError: No cell, a cell twice, or no block.
        """
        breaches = []
        if not self.cells:
            breaches.append("no cell")
        if len(set(self.cells)) != len(self.cells):
            breaches.append(f"a cell twice in {', '.join(self.cells)}; name an A/A pair base,base")
        if self.starts < 1 or self.block_pairs < 1 or self.warm_ups < 0:
            breaches.append(f"starts={self.starts}, block_pairs={self.block_pairs}, warm_ups={self.warm_ups}: at least 1, 1, 0")
        if breaches:
            raise ParamsError("the experiment plan does not hold: " + "; ".join(breaches))

    def slots(self) -> tuple[Slot, ...]:
        """Every run in the order it happens; the same plan gives the same slots."""
        return tuple(s for start in range(self.starts) for s in self.start_slots(start))

    def start_slots(self, start: int) -> tuple[Slot, ...]:
        """The runs of one process start."""
        order = random.Random(f"{self.seed}/{start}")  # noqa: S311 - an order of runs, not a secret
        slots = [
            Slot(start=start, block=0, position=i, cell=self.cells[i % len(self.cells)], kind=Kind.WARM_UP)
            for i in range(self.warm_ups * len(self.cells))
        ]
        for pair in range(self.block_pairs):
            there = list(self.cells)
            order.shuffle(there)
            for half, cells in enumerate((there, there[::-1])):
                block = 2 * pair + half
                slots += [Slot(start=start, block=block, position=i, cell=c, kind=Kind.RUN) for i, c in enumerate(cells)]
        last = 2 * self.block_pairs
        slots.append(Slot(start=start, block=last, position=0, cell=self.cells[0], kind=Kind.CONTROL))
        return tuple(slots)

    @property
    def replicates(self) -> int:
        """Runs of each cell that are analysed."""
        return self.starts * self.block_pairs * 2


def distinct(cells: list[str]) -> tuple[str, ...]:
    """Cell names of one plan: the second ``base`` becomes ``base#2``, so that an A/A run is a plan like any other.

    >>> distinct(["base", "base", "idle"])
    ('base', 'base#2', 'idle')
    """
    seen: dict[str, int] = {}
    names = []
    for cell in cells:
        seen[cell] = seen.get(cell, 0) + 1
        names.append(cell if seen[cell] == 1 else f"{cell}#{seen[cell]}")
    return tuple(names)


def plain(cell: str) -> str:
    """The cell behind a name that ``distinct`` made.

    >>> plain("base#2")
    'base'
    """
    return cell.split("#", maxsplit=1)[0]
