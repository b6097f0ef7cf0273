"""Which cells a design has, which are missing, and which effects it cannot tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from deltastack.errors import FactorialError
from deltastack.own_runs.experiment import cell_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deltastack.own_runs.experiment import Experiment, Mechanism

_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The cells of an experiment."""

    layers: tuple[str, ...]
    present: frozenset[int]
    """Cells of the full factorial that have a run."""
    mechanisms: tuple[Mechanism, ...] = ()

    @property
    def singles(self) -> tuple[int, ...]:
        """Cells with one layer on, in the order of the layers."""
        return tuple(1 << i for i in range(len(self.layers)))

    @property
    def pairs(self) -> tuple[int, ...]:
        """Cells with two layers on."""
        return tuple(a | b for a, b in combinations(self.singles, 2))

    @property
    def full(self) -> int:
        """The cell with every layer on."""
        return (1 << len(self.layers)) - 1

    @property
    def places(self) -> int:
        """Cells of the full factorial, and after them one place a mechanism run alone."""
        return self.full + 1 + len(self.mechanisms)

    @property
    def shared(self) -> tuple[int, ...]:
        """Places of the mechanisms that more than one layer uses."""
        return tuple(self.full + 1 + i for i, m in enumerate(self.mechanisms) if len(m.of) > 1)

    @property
    def missing(self) -> tuple[int, ...]:
        """Cells of the full factorial without a run, ascending."""
        return tuple(m for m in range(self.full + 1) if m not in self.present)

    @property
    def needed(self) -> tuple[int, ...]:
        """Cells without which the question has no answer: base, each layer alone, all together."""
        return (0, *self.singles, self.full)

    @property
    def planned(self) -> bool:
        """Whether the cells are a plan: all, the needed ones with or without all pairs, or a regular fraction."""
        plans = (frozenset(self.needed), frozenset((*self.needed, *self.pairs)))
        return not self.missing or self.present in plans or self._fraction

    @property
    def _fraction(self) -> bool:
        """Whether the cells are a regular fraction: with a, b and c also a xor b xor c."""
        first = min(self.present)
        moved = {m ^ first for m in self.present}
        return all(a ^ b in moved for a, b in combinations(sorted(moved), 2))

    def confounded(self) -> tuple[tuple[str, ...], ...]:
        """Groups of effects (layers, pairs and the mean) with the same signs in every cell that was run."""
        k, cells = len(self.layers), sorted(self.present)
        sets = [0, *self.singles, *self.pairs]
        groups: dict[tuple[int, ...], list[str]] = {}
        for effect in sets:
            signs = tuple((-1) ** ((m & effect).bit_count()) for m in cells)
            key = max(signs, tuple(-s for s in signs))
            name = "*".join(self.layers[i] for i in range(k) if effect >> i & 1) or "mean"
            groups.setdefault(key, []).append(name)
        return tuple(tuple(g) for g in groups.values() if len(g) > 1)

    def words(self, cells: Iterable[int]) -> str:
        """Cells in words, the first few."""
        found = [self._named(m) for m in cells]
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return "; ".join(found[:_SHOWN]) + more

    def _named(self, cell: int) -> str:
        return cell_words(self.layers, cell) if cell <= self.full else f"{self.mechanisms[cell - self.full - 1].name} alone"


def design_of(found: Experiment, *, partial: bool = False) -> Design:
    """The design of an experiment.

    Args:
        found: The runs.
        partial: Take a design with holes as it is; what it cannot tell is null with the reason.

    Raises:
        FactorialError: No runs, or cells missing that no plan leaves out, and not ``partial``.
    """
    cells = frozenset(m for m in found.cells if m < 1 << len(found.layers))
    design = Design(layers=found.layers, present=cells, mechanisms=found.mechanisms)
    if not design.present:
        raise FactorialError(
            f"{found.where}no run has a reading of {found.metric.name}; fill the column or choose another --metric"
        )
    if partial or design.planned:
        return design
    lacking = [m for m in design.needed if m not in design.present] or list(design.missing)
    noun = "cell" if len(lacking) == 1 else "cells"
    raise FactorialError(
        f"{found.where}missing {noun} {design.words(lacking)}; add its runs, or pass --partial to analyse what is there"
    )
