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

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltastack.composition import domain
from deltastack.errors import FormulaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

Array = NDArray[np.float64]


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
