"""The error of each formula over all cells with two or more layers, not only over the whole stack.

Each such cell is a small factorial of its own: base, its layers alone, its joint result. The error of a formula is the root
mean square of its gaps over those cells, in the unit of a saving; opposite interactions cannot cancel in it.

Source: this project (design, "Composition"); the root mean square is never 0 under noise, so read it beside its interval.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack import composition
from deltastack.analysis.formula_totals import FORMULAS, Estimate, estimate, lacking, values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.analysis.factorial import Factorial


class Error(NamedTuple):
    """How wrong one formula is over the cells of one factorial."""

    formula: str
    root_mean_square: Estimate
    cells: int
    worst: tuple[str, ...]
    """The layers of the cell with the largest gap."""
    worst_gap: Estimate


class Cell(NamedTuple):
    """One cell: what the formulas say, and what the joint run gave; fractions."""

    layers: tuple[str, ...]
    formula: str
    predicted: float
    joint: float


def errors(f: Factorial, confidence: float) -> list[Error]:
    """One row a formula that can be formed everywhere; none for a stack of one layer."""
    return [_error(f, n, confidence) for n in _formulas(f)] if several(f) else []


def cells(f: Factorial) -> list[Cell]:
    """Every formula in every cell with two or more layers, of the central draw or the mean over blocks."""
    found = []
    for m in several(f):
        inner = f.within(m)
        said = {n: estimate(inner, partial(_value, name=n), 0.5).value for n in (*_formulas(f), "joint")}
        found += [Cell(f.cell(m), n, said[n], said["joint"]) for n in _formulas(f)]
    return found


def several(f: Factorial) -> list[int]:
    """Places of the cells with two or more layers that were run."""
    return [m for m in f.ran if m.bit_count() > 1]


def _formulas(f: Factorial) -> list[str]:
    return [n for n in FORMULAS if n != "joint" and n not in lacking(f)]


def _error(f: Factorial, name: str, confidence: float) -> Error:
    places = several(f)
    gaps = {m: estimate(f, partial(_gap, name=name, m=m), confidence) for m in places}
    worst = max(places, key=lambda m: abs(gaps[m].value))
    root = estimate(f, partial(_root_mean_square, name=name, places=places), confidence)
    return Error(name, root, len(places), f.cell(worst), gaps[worst])


def _value(f: Factorial, *, name: str) -> NDArray[np.float64]:
    return values(f)[name]


def _gap(f: Factorial, *, name: str, m: int) -> NDArray[np.float64]:
    found = values(f.within(m))
    return composition.gap(found[name], found["joint"])


def _root_mean_square(f: Factorial, *, name: str, places: list[int]) -> NDArray[np.float64]:
    squares = [_gap(f, name=name, m=m) ** 2 for m in places]
    found: NDArray[np.float64] = np.sqrt(np.mean(squares, axis=0))
    return found
