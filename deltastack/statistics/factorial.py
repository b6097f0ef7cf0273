"""Effects and interactions of k layers in log scale, from all 2^k cells run in blocks.

Cell m has layer i on where bit i of m is set. y = ln(amount). For a set T of layers:

    at_base:   Σ_{S ⊆ T} (-1)^{|T| - |S|} y(S)                       the other layers off
    averaged:  the same alternating sum, averaged over the 2^(k - |T|) settings of the others

``at_base`` adds up to the cell: y(S) = Σ_{T ⊆ S} effect(T); its pairs are the β of
``composition.pairwise``. ``averaged`` uses every run, so its interval is shorter. An effect below 0
saves; an interaction below 0 saves more together than the product says.

Each block has every cell once, so each gives one value of every effect, in which what the block
shares has cancelled; the interval is the t interval over blocks.

Source: R. Jain, The Art of Computer Systems Performance Analysis, 1991, ch. 17-18; F. Yates, 1937
(the fast form).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from deltastack.composition import domain
from deltastack.errors import FormulaError
from deltastack.statistics.interval import Interval, mean_interval, replicates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One effect (one layer) or interaction (several), in log scale, both ways."""

    layers: frozenset[str]
    averaged: Interval
    at_base: Interval
    p: float
    """Two-sided, of ``averaged`` being 0; to be adjusted for the family (``families``)."""


def at_base(y: ArrayLike) -> Array:
    """Effects with the other layers off: (2^k, ...) to (2^k, ...), place m for the set of the bits of m.

    Raises:
        FormulaError: Not 2^k cells, or not finite.
    """
    return _transform(y, lambda off, on: (off, on - off))


def averaged(y: ArrayLike) -> Array:
    """Effects averaged over the settings of the others; place 0 is the mean of all cells. Shapes as ``at_base``.

    Raises:
        FormulaError: Not 2^k cells, or not finite.
    """
    return _transform(y, lambda off, on: ((off + on) / 2, on - off))


def effects(y: ArrayLike, layers: Sequence[str], *, confidence: float = 0.95) -> tuple[Effect, ...]:
    """Every effect and interaction with its interval, single layers first.

    Args:
        y: ln(amount) by block and cell, (B, 2^k).
        layers: The k names; ``layers[i]`` is bit i of the cell.
        confidence: Of each interval.

    Raises:
        FormulaError: Fewer than two blocks, not 2^k cells, or not finite.
    """
    found = replicates(y, "blocks")
    if found.ndim != 2 or found.shape[1] != 2 ** len(layers):  # noqa: PLR2004 - blocks x cells
        raise FormulaError(f"cells: shape {found.shape} does not fit {len(layers)} layers; wanted (blocks, {2 ** len(layers)})")
    base, mean = at_base(found.T), averaged(found.T)
    places = sorted(range(1, 2 ** len(layers)), key=lambda m: (m.bit_count(), m))
    return tuple(
        Effect(
            layers=frozenset(name for i, name in enumerate(layers) if m >> i & 1),
            averaged=mean_interval(mean[m], confidence=confidence),
            at_base=mean_interval(base[m], confidence=confidence),
            p=_two_sided(mean[m]),
        )
        for m in places
    )


def pair_table(y: ArrayLike) -> Array:
    """β_ij of ``composition.pairwise``, (k, k, ...), from y, (2^k, ...).

    Raises:
        FormulaError: Not 2^k cells, or not finite.
    """
    found = at_base(y)
    count = (len(found) - 1).bit_length()
    table = np.zeros((count, count, *found.shape[1:]))
    for i in range(count):
        for j in range(i):
            table[i, j] = table[j, i] = found[1 << i | 1 << j]
    return table


def cells(y: ArrayLike, name: str = "cells") -> Array:
    """``y`` as finite numbers of 2^k cells on the first axis.

    Raises:
        FormulaError: Not 2^k cells, or not finite.
    """
    found = domain.numbers(y, name, axes=1)
    if len(found).bit_count() != 1:
        raise FormulaError(f"{name}: found {len(found)}, wanted one for each of the 2^k sets of layers")
    return found


def _transform(y: ArrayLike, step: Callable[[Array, Array], tuple[Array, Array]]) -> Array:
    """Apply ``step`` to (off, on) of each layer in turn: Yates's algorithm."""
    found = cells(y)
    for i in range((len(found) - 1).bit_length()):
        pairs = found.reshape(-1, 2, 1 << i, *found.shape[1:])
        halves = step(pairs[:, 0], pairs[:, 1])
        found = np.stack(halves, axis=1).reshape(found.shape)
    return found


def _two_sided(values: Array) -> float:
    """P of Student's t for a mean of 0; without spread 0 or 1."""
    if values.std(ddof=1) == 0:
        return float(values.mean() == 0)
    return float(stats.ttest_1samp(values, 0.0).pvalue)
