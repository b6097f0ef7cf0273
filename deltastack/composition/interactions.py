"""Interactions: how far a pair is from the product, and the product corrected by every pair.

Source: effects and interactions in log scale are R. Jain, The Art of Computer Systems Performance
Analysis (1991), ch. 17; the composition from pairs is this project's (design, "Composition").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from deltastack.composition import domain
from deltastack.errors import FormulaError

if TYPE_CHECKING:
    from collections.abc import Sequence

PAIR_IS_JOINT = "of two layers the pair is the joint run, so pairwise predicts nothing"
Array = NDArray[np.float64]


@overload
def pairwise(deltas: Sequence[float], interactions: Sequence[Sequence[float]]) -> float: ...
@overload
def pairwise(deltas: Array, interactions: Array) -> Array: ...
def pairwise(deltas: Sequence[float] | Array, interactions: Sequence[Sequence[float]] | Array) -> float | Array:
    """ln(1 - Δ) = Σ ln(1 - Δ_i) + Σ_{i<j} β_ij: the product, corrected by each pair's log interaction.

    β_ij > 0 where a pair saves less together than the product says (see ``interaction``). 20 % and
    50 % leave 0.8 x 0.5 = 0.4; with β = ln 1.25 the pair leaves 0.5, so 50 % are saved:

    >>> beta = 0.22314355131420976
    >>> round(pairwise([0.2, 0.5], [[0, beta], [beta, 0]]), 12)
    0.5

    Args:
        deltas: (L,) or (L, S), below 1.
        interactions: β, symmetric with a zero diagonal, (L, L) or (L, L, S).

    Returns:
        () or (S,).

    Raises:
        FormulaError: Δ >= 1, not finite, β of another shape, not symmetric or with a diagonal.
    """
    saved = domain.savings(deltas)
    domain.refuse("Δ", saved, saved >= 1, "nothing is left to take a logarithm of")
    beta = domain.numbers(interactions, "β", axes=2)
    count = len(saved)
    if beta.shape[:2] != (count, count):
        raise FormulaError(f"β: shape {beta.shape} does not fit {count} layers; wanted ({count}, {count})")
    if not np.array_equal(beta, np.swapaxes(beta, 0, 1)) or np.any(beta[np.arange(count), np.arange(count)]):
        raise FormulaError("β: wanted a symmetric table with a zero diagonal: one number a pair of layers")
    pairs = np.sum(beta[np.triu_indices(count, k=1)], axis=0)
    found: Array = -np.expm1(np.sum(np.log1p(-saved), axis=0) + pairs)
    return found if isinstance(deltas, np.ndarray) else float(found)


@overload
def interaction(first: float, second: float, joint: float) -> float: ...
@overload
def interaction(first: Array, second: Array, joint: Array) -> Array: ...
def interaction(first: float | Array, second: float | Array, joint: float | Array) -> float | Array:
    """β = ln(1 - Δ_12) - ln(1 - Δ_1) - ln(1 - Δ_2) of a pair, elementwise; 0 where the product holds.

    Positive: the pair saves less than the product (both saved the same thing). 20 % and 50 % alone,
    50 % together: ln 0.5 - ln 0.8 - ln 0.5 = ln 1.25:

    >>> round(interaction(0.2, 0.5, 0.5), 6)
    0.223144

    Raises:
        FormulaError: Δ >= 1 or not finite.
    """
    for saving in (first, second, joint):
        saved = domain.savings(saving, axes=0)
        domain.refuse("Δ", saved, saved >= 1, "nothing is left to take a logarithm of")
    found: Array = np.log1p(-np.asarray(joint)) - np.log1p(-np.asarray(first)) - np.log1p(-np.asarray(second))
    return found if isinstance(joint, np.ndarray) else float(found)
