"""The experiment plan: which cell runs when.

Randomised complete blocks: every block runs every cell once, or as often as ``repeats`` says, in random order. Blocks come
in pairs, the second in the reverse order of the first (A-B-B-A for two cells), so that a drift that is linear in time cancels
inside a pair. Each process start opens with discarded warm-up runs and ends with a closing control: one more run of the first
cell of the plan, which differs from its runs in the blocks only by when it ran.

Repeats go where the question's variance is. The gap of the product of k single savings is, in logs,

    ln joint - Σ ln alone_i + (k - 1) ln base,    variance σ² (1 / r_joint + k / r_alone + (k - 1)² / r_base)

so that the base of five layers weighs sixteen times as much as the joint cell: with 4, 2 and 2 runs a block instead of 1, 1
and 1 the variance falls from 22 to 7 σ² for 9 more runs beside 32.

Source: Jain, The Art of Computer Systems Performance Analysis (1991), ch. 17-18; Kalibera & Jones, arXiv 2007.10899
(replicate process starts, not only runs).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from deltastack.errors import ParamsError

if TYPE_CHECKING:
    from collections.abc import Iterator

TWIN_SUFFIX = "@aa"
"""Ends the name of a further copy of a cell."""


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
    """Cells x blocks x process starts. Two cells of an A/A run carry different names (``base``, ``base@aa``)."""

    cells: tuple[str, ...]
    starts: int
    block_pairs: int
    warm_ups: int = 1
    seed: int = 0
    repeats: tuple[tuple[str, int], ...] = ()
    """Runs a block of some cells; once for those that are not named."""
    warm: tuple[str, ...] | None = None
    """The cells that warm up; all of them if None."""
    paired: bool = True
    """Whether both blocks of a pair run in one start. Else ``block_pairs`` counts blocks, and the second block of a pair is the
    next one, in this start or the next."""
    tail: tuple[str, ...] = ()
    """Cells that run after all others in each block, with one more run of the first cell among them: what may be cut off."""

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
        strange = ({c for c, _ in self.repeats} | set(self.warm or ()) | set(self.tail)) - set(self.cells)
        if any(n < 1 for _, n in self.repeats) or strange:
            breaches.append(f"repeats={self.repeats}, warm={self.warm}: of cells of the plan, at least once")
        if breaches:
            raise ParamsError("the experiment plan does not hold: " + "; ".join(breaches))

    def slots(self) -> tuple[Slot, ...]:
        """Every run in the order it happens; the same plan gives the same slots."""
        return tuple(s for start in range(self.starts) for s in self.start_slots(start))

    def start_slots(self, start: int) -> tuple[Slot, ...]:
        """The runs of one process start."""
        slots = [
            Slot(start=start, block=0, position=i, cell=c, kind=Kind.WARM_UP)
            for i, c in enumerate((self.cells if self.warm is None else self.warm) * self.warm_ups)
        ]
        blocks = self._pairs(start) if self.paired else self._singles(start)
        last = 0
        for block, cells in enumerate(blocks):
            last = block + 1
            slots += [Slot(start=start, block=block, position=i, cell=c, kind=Kind.RUN) for i, c in enumerate(cells)]
        slots.append(Slot(start=start, block=last, position=0, cell=self.cells[0], kind=Kind.CONTROL))
        return tuple(slots)

    def _pairs(self, start: int) -> Iterator[list[str]]:
        order = random.Random(f"{self.seed}/{start}")  # noqa: S311 - an order of runs, not a secret
        for _ in range(self.block_pairs):
            parts = self._shuffled(order)
            yield [c for part in parts for c in part]
            yield [c for part in parts for c in part[::-1]]

    def _singles(self, start: int) -> Iterator[list[str]]:
        for number in range(start * self.block_pairs, (start + 1) * self.block_pairs):
            order = random.Random(f"{self.seed}/pair {number // 2}")  # noqa: S311 - an order of runs, not a secret
            yield [c for part in self._shuffled(order) for c in (part[::-1] if number % 2 else part)]

    def _shuffled(self, order: random.Random) -> list[list[str]]:
        parts = [list(self.head), [self.cells[0], *self.tail] if self.tail else []]
        for part in parts:
            order.shuffle(part)
        return parts

    @property
    def head(self) -> tuple[str, ...]:
        """The runs of one block without its tail, not yet in order."""
        often = dict(self.repeats)
        return tuple(c for c in self.cells if c not in self.tail for _ in range(often.get(c, 1)))

    @property
    def block(self) -> tuple[str, ...]:
        """The runs of one block, not yet in order."""
        return (*self.head, *((self.cells[0], *self.tail) if self.tail else ()))


def distinct(cells: list[str]) -> tuple[str, ...]:
    """Cell names of one plan: the second ``base`` becomes ``base@aa``, so that an A/A run is a plan like any other.

    >>> distinct(["base", "base", "idle", "base"])
    ('base', 'base@aa', 'idle', 'base@aa3')
    """
    seen: dict[str, int] = {}
    names = []
    for cell in cells:
        seen[cell] = seen.get(cell, 0) + 1
        copy = "" if seen[cell] == 2 else str(seen[cell])  # noqa: PLR2004 - the second of two is the twin
        names.append(cell if seen[cell] == 1 else f"{cell}{TWIN_SUFFIX}{copy}")
    return tuple(names)


def plain(cell: str) -> str:
    """The cell behind a name that ``distinct`` made.

    >>> plain("base@aa")
    'base'
    """
    name, suffix, copy = cell.rpartition(TWIN_SUFFIX)
    return name if suffix and copy in {"", *map(str, range(3, 10))} else cell
