"""Half of a factorial: the 16 of 32 cells of five layers that tell every layer and every pair apart, and the base.

    layer 5 = layer 1 x layer 2 x layer 3 x layer 4        (signs: on +1, off -1)

The product of all five signs is +1, so cells with 1, 3 or 5 layers on are run: every single layer and the whole stack are
among them. No main effect or pair shares its contrast with another one (resolution V); each pair shares it with the other
three layers together. The base cell is no part of the half; it is run beside it, because a saving needs it.

Source: Box, Hunter & Hunter, Statistics for Experimenters, ch. 6; the design is made by pyDOE3.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltastack.errors import FormulaError, ParamsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

Array = NDArray[np.float64]

HALVED = 5
"""Layers of which a half has resolution V. With fewer, the whole is small enough; with more, a half is not the best fraction."""


def half() -> tuple[int, ...]:
    """Places of the cells of the half and of the base, ascending; bit i set where layer i is on.

    >>> cells = half()
    >>> len(cells), cells[0], [m for m in cells if m.bit_count() == 1], cells[-1]
    (17, 0, [1, 2, 4, 8, 16], 31)
    """
    from pyDOE3 import fracfact

    on = np.asarray(fracfact("a b c d abcd")) > 0
    places = (on << np.arange(HALVED)).sum(axis=1)
    return (0, *sorted(int(p) for p in places))


def planned(layers: Sequence[str], cells: str) -> tuple[int, ...]:
    """Places of the cells that are to be run: ``all`` of them, or the ``half`` of five layers with the base.

    Fewer layers (a bench may observe fewer) have at most 16 cells, and all of them are run.

    Raises:
        ParamsError: A half of more than five layers.
    """
    if cells == "all" or len(layers) < HALVED:
        return tuple(range(1 << len(layers)))
    if len(layers) > HALVED:
        raise ParamsError(
            f"cells: half is made for {HALVED} layers, there are {len(layers)} ({', '.join(layers)}); write cells: all"
        )
    return half()


def half_effects(y: ArrayLike) -> dict[frozenset[int], Array]:
    """Effects of single layers and pairs, averaged over the settings of the others, from the cells of ``half``.

    With signs s over the 16 cells: Σ s_i y / 8 for a layer (a difference of means), Σ s_i s_j y / 4 for a pair (a difference
    of differences). If no three layers interact, both are exactly those of ``factorial.averaged``.

    Args:
        y: (32, ...); cells that are not in the half are not read.

    Raises:
        FormulaError: Not 32 cells.
    """
    values = np.asarray(y, dtype=np.float64)
    if len(values) != 1 << HALVED:
        raise FormulaError(f"cells: found {len(values)}, wanted the 32 sets of five layers")
    run = np.array(half()[1:])
    signs = np.where(run[:, None] >> np.arange(HALVED) & 1, 1.0, -1.0)
    found = {frozenset({i}): np.tensordot(signs[:, i], values[run], axes=1) / 8 for i in range(HALVED)}
    for i, j in combinations(range(HALVED), 2):
        found[frozenset({i, j})] = np.tensordot(signs[:, i] * signs[:, j], values[run], axes=1) / 4
    return found
