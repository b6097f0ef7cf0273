"""Experiments: runs of one set of layers in one setting, as amounts of a resource (less is better)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltastack.errors import FactorialError

if TYPE_CHECKING:
    from collections.abc import Mapping

Array = NDArray[np.float64]

MOST_LAYERS = 8
"""256 cells; more layers are no factorial that a person runs."""
UNIT_JUMP = 300.0
"""No layer changes an amount by this factor; milliseconds written for seconds do."""
REPEAT_JUMP = 30.0
"""Runs of one cell do not differ by this factor; fractions beside percentages do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What was read in every run."""

    name: str
    higher_is_better: bool

    def log_amount(self, value: float) -> float:
        """Ln of the resource that a unit of work takes: the value itself, or 1 / value where higher is better."""
        return -float(np.log(value)) if self.higher_is_better else float(np.log(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One run of one cell."""

    cell: int
    """Bit i is set where layer i is on."""
    value: float
    """As it was written, in the unit of the metric."""
    block: str | None = None
    """Runs of one block share what passes with time; None where runs are independent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """What several layers do in order to do their work, run alone with every layer off (``composition.mechanisms``)."""

    name: str
    of: tuple[str, ...]
    """The layers that use it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """All runs of one setting."""

    metric: Metric
    layers: tuple[str, ...]
    setting: Mapping[str, str]
    observations: tuple[Observation, ...]
    notes: tuple[str, ...] = ()
    """What a reader of the result must know about the file."""
    mechanisms: tuple[Mechanism, ...] = ()
    """Runs of mechanism i alone have the cell 2^k + i."""

    def __post_init__(self) -> None:
        """Refuse what no factorial can be made of.

        Raises:
            FactorialError: Fewer than two layers or too many, values that are not positive, units that differ.
        """
        if not 2 <= len(self.layers) <= MOST_LAYERS:  # noqa: PLR2004 - one layer has nothing to compose with
            shown = ", ".join(self.layers) or "none"
            raise FactorialError(f"layers found: {shown}; wanted 2 to {MOST_LAYERS} columns that are 0 or 1, one for each layer")
        for m in self.mechanisms:
            unknown = [x for x in m.of if x not in self.layers]
            if unknown or not m.of or m.name in self.layers:
                raise FactorialError(
                    f"{self.where}mechanism {m.name} of {', '.join(m.of) or 'nothing'}: wanted layers among "
                    f"{', '.join(self.layers)}, and a name of its own"
                )
        for o in self.observations:
            if not (np.isfinite(o.value) and o.value > 0):
                raise FactorialError(
                    f"{self.where}cell {self.cell_words(o.cell)}: {self.metric.name} is {o.value:g}; "
                    "wanted a positive amount; leave the field empty for a failed run"
                )
        self._one_unit()

    @property
    def where(self) -> str:
        """The setting as the head of a message; empty where there is one setting only."""
        return f"{self.setting_words}: " if self.setting else ""

    @property
    def setting_words(self) -> str:
        """The setting in words: ``workload gsm8k, concurrency 8``."""
        return ", ".join(f"{k} {v}" for k, v in self.setting.items())

    @property
    def cells(self) -> frozenset[int]:
        """The cells that have a run."""
        return frozenset(o.cell for o in self.observations)

    @property
    def places(self) -> int:
        """Cells of the full factorial, and one a mechanism."""
        return (1 << len(self.layers)) + len(self.mechanisms)

    def cell_words(self, cell: int) -> str:
        """A cell in words: ``W=1 K=0``."""
        alone = cell - (1 << len(self.layers))
        return cell_words(self.layers, cell) if alone < 0 else f"{self.mechanisms[alone].name} alone"

    def cell_layers(self, cell: int) -> frozenset[str]:
        """The layers that are on in a cell."""
        return frozenset(name for i, name in enumerate(self.layers) if cell >> i & 1)

    def logs_alone(self, mechanism: int) -> Array:
        """Ln of the amounts of mechanism i alone, one a run."""
        return self.logs((1 << len(self.layers)) + mechanism)

    def logs(self, cell: int) -> Array:
        """Ln of the amounts of a cell, one a run."""
        return np.array([self.metric.log_amount(o.value) for o in self.observations if o.cell == cell])

    def blocks(self) -> Array | None:
        """Ln of the amounts by block and place, (B, 2^k + mechanisms), NaN where a cell was not run; None without blocks.

        Runs of one cell inside a block are averaged. A block that lacks a cell which others have is left out.
        """
        if any(o.block is None for o in self.observations):
            return None
        names = list(dict.fromkeys(o.block for o in self.observations))
        total, count = np.zeros((len(names), self.places)), np.zeros((len(names), self.places))
        for o in self.observations:
            total[names.index(o.block), o.cell] += self.metric.log_amount(o.value)
            count[names.index(o.block), o.cell] += 1
        whole = (count[:, sorted(self.cells)] > 0).all(axis=1)
        if not whole.any():
            return None
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)[whole]

    def short_blocks(self) -> tuple[str, ...]:
        """A note on blocks that lack a cell, which are left out; nothing where all are whole or there are none."""
        names = {o.block for o in self.observations if o.block is not None}
        kept = self.blocks()
        short = 0 if kept is None else len(names) - len(kept)
        return (f"{short} block(s) lack a cell that others have and are left out",) if short else ()

    def _one_unit(self) -> None:
        """Refuse amounts that differ by what only a unit explains."""
        groups = [(REPEAT_JUMP, [o for o in self.observations if o.cell == c]) for c in sorted(self.cells)]
        for jump, found in (*groups, (UNIT_JUMP, list(self.observations))):
            if not found:
                continue
            low, high = min(found, key=lambda o: o.value), max(found, key=lambda o: o.value)
            if high.value / low.value >= jump:
                raise FactorialError(
                    f"{self.where}{self.metric.name}: {low.value:g} in cell {self.cell_words(low.cell)} and {high.value:g} in "
                    f"cell {self.cell_words(high.cell)} look like mixed units (s and ms?); write every row in one unit"
                )


def cell_words(layers: tuple[str, ...], cell: int) -> str:
    """A cell in words.

    >>> cell_words(("W", "K"), 2)
    'W=0 K=1'
    """
    return " ".join(f"{name}={cell >> i & 1}" for i, name in enumerate(layers))
