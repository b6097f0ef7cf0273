"""The quantities of a factorial as functions of the log amounts of its cells.

y(S) = ln(amount) of the cell with the layers S on; savings are 1 - exp(y(S) - y(nothing)). The formulas are those of
``composition``; ``scale`` says where an interval is taken: of ln(1 - Δ) for a saving that cannot exceed 1, else of the value.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltastack import composition, statistics

if TYPE_CHECKING:
    from collections.abc import Callable

    from deltastack.own_runs.design import Design

Array = NDArray[np.float64]

FORMULAS = ("independent", "pairwise", "weighted", "by_component")
BY_MECHANISM = "by_mechanism"
"""Only where a mechanism is given."""
MOST_ORDERS = 4
"""Up to so many layers every interaction is given, beyond only those of pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One number of a factorial."""

    needs: tuple[int, ...]
    """The cells that it is a function of."""
    of: Callable[[Array], float]
    """From y, (2^k,), in which only the cells of ``needs`` are read."""
    logarithmic: bool = False
    """Whether ``of`` gives ln(1 - Δ) instead of the value."""


def alone(design: Design, i: int) -> Quantity:
    """ln(1 - Δ_i) = y(i) - y(nothing)."""
    cell = design.singles[i]
    return Quantity(needs=(0, cell), of=lambda y: float(y[cell] - y[0]), logarithmic=True)


def joint(design: Design) -> Quantity:
    """ln(1 - Δ) = y(all) - y(nothing)."""
    return Quantity(needs=(0, design.full), of=lambda y: float(y[design.full] - y[0]), logarithmic=True)


def formulas(design: Design) -> tuple[str, ...]:
    """The formulas of a design."""
    return (*FORMULAS, *([BY_MECHANISM] if design.mechanisms else []))


def mechanism(design: Design, i: int) -> Quantity:
    """ln(1 - μ_i) = y(mechanism i) - y(nothing)."""
    place = design.full + 1 + i
    return Quantity(needs=(0, place), of=lambda y: float(y[place] - y[0]), logarithmic=True)


def predicted(design: Design, formula: str) -> Quantity:
    """A formula's total saving, from single layers alone; from pairs or shared mechanisms too where it takes these."""
    more = {"pairwise": design.pairs, BY_MECHANISM: design.shared}
    needs = (0, *design.singles, *more.get(formula, ()))
    if formula == "weighted":
        return Quantity(needs=needs, of=lambda y: _value(design, formula, y))
    return Quantity(needs=needs, of=lambda y: float(np.log1p(-_value(design, formula, y))), logarithmic=True)


def gap(design: Design, formula: str) -> Quantity:
    """Formula - joint."""
    needs = (*predicted(design, formula).needs, design.full)
    total = joint(design).of
    return Quantity(
        needs=tuple(dict.fromkeys(needs)),
        of=lambda y: composition.gap(_value(design, formula, y), -float(np.expm1(total(y)))),
    )


def interaction(cell: int) -> Quantity:
    """The log interaction of the layers of ``cell`` with the others off: Σ (-1)^(|T| - |S|) y(S) over S inside T."""
    inside = tuple(m for m in range(cell + 1) if m & cell == m)
    signs = np.array([(-1.0) ** ((cell ^ m).bit_count()) for m in inside])
    return Quantity(needs=inside, of=lambda y: float(signs @ y[list(inside)]))


def interaction_cells(design: Design) -> tuple[int, ...]:
    """The cells whose interactions are given: pairs, and higher orders where the layers are few."""
    places = [1 << i for i in range(len(design.layers))]
    orders = range(2, (len(places) if len(places) <= MOST_ORDERS else 2) + 1)
    return tuple(sum(c) for n in orders for c in combinations(places, n))


def shapley(design: Design, i: int) -> Quantity:
    """Layer i's share of the joint saving, averaged over every order of switching on."""
    every = tuple(range(design.full + 1))
    return Quantity(needs=every, of=lambda y: float(statistics.shapley(-np.expm1(y[: design.full + 1] - y[0]))[i]))


def _value(design: Design, formula: str, y: Array) -> float:
    deltas = -np.expm1(y[list(design.singles)] - y[0])
    if formula == "weighted":
        return float(composition.additive(deltas))
    if formula == "pairwise":
        return float(composition.pairwise(deltas, _beta(design, y)))
    if formula == BY_MECHANISM and design.shared:
        shared = [m for m in design.mechanisms if len(m.of) > 1]
        uses = [[layer in m.of for m in shared] for layer in design.layers]
        return float(composition.by_mechanism(deltas, -np.expm1(y[list(design.shared)] - y[0]), uses))
    return float(composition.independent(deltas))


def _beta(design: Design, y: Array) -> Array:
    """β_ij of ``composition.pairwise`` from the base, the singles and the pairs."""
    table = np.zeros((len(design.layers), len(design.layers)))
    for (i, a), (j, b) in combinations(enumerate(design.singles), 2):
        table[i, j] = table[j, i] = y[a | b] - y[a] - y[b] + y[0]
    return table
