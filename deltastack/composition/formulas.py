"""Savings composed: product, sum and by component; and the gap to the truth.

Source: the product and the weighted sum are the paper's sections 4.2 and 4.3; the sum over
disjoint shares is G. Amdahl, AFIPS 1967; ``by_component`` is this project's (design, "Composition").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from deltastack.composition import domain

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.float64]
N = TypeVar("N", float, Array)


def delta(base: N, optimized: N) -> N:
    """The saving (R_base - R_opt) / R_base, elementwise; negative where the optimization costs.

    8 J instead of 10 J save (10 - 8) / 10 = 0.2; 12 J instead of 10 J save -0.2:

    >>> delta(10.0, 8.0), delta(10.0, 12.0)
    (0.2, -0.2)

    Raises:
        FormulaError: R_base <= 0, R_opt < 0, or not finite.
    """
    was, now = domain.numbers(base, "R_base"), domain.numbers(optimized, "R_opt")
    domain.refuse("R_base", was, was <= 0, "a saving is a share of a positive amount")
    domain.refuse("R_opt", now, now < 0, "an amount is not negative")
    return (base - optimized) / base


@overload
def independent(deltas: Sequence[float]) -> float: ...
@overload
def independent(deltas: Array) -> Array: ...
def independent(deltas: Sequence[float] | Array) -> float | Array:
    """1 - Π(1 - Δ_i): every layer scales what the others left of one whole resource.

    10 % and 15 % leave 0.9 x 0.85 = 0.765, so they save 23.5 %:

    >>> round(independent([0.10, 0.15]), 12)
    0.235

    Args:
        deltas: (L,) or (L, S).

    Returns:
        () or (S,).

    Raises:
        FormulaError: None given, Δ > 1, or not finite.
    """
    return _plain(1 - np.prod(1 - domain.savings(deltas), axis=0), deltas)


@overload
def additive(deltas: Sequence[float]) -> float: ...
@overload
def additive(deltas: Array) -> Array: ...
def additive(deltas: Sequence[float] | Array) -> float | Array:
    """Σ Δ_i of savings that are all shares of the same whole: layers that act on disjoint parts of it.

    It is ``weighted`` with w_i Δ_i already formed, and may exceed 1: then the parts were not disjoint.
    6 % and 6 % of the whole save 12 %:

    >>> additive([0.06, 0.06])
    0.12

    Args:
        deltas: (L,) or (L, S).

    Returns:
        () or (S,).

    Raises:
        FormulaError: None given, Δ > 1, or not finite.
    """
    return _plain(np.sum(domain.savings(deltas), axis=0), deltas)


@overload
def weighted(deltas: Sequence[float], weights: Sequence[float]) -> float: ...
@overload
def weighted(deltas: Array, weights: Array) -> Array: ...
def weighted(deltas: Sequence[float] | Array, weights: Sequence[float] | Array) -> float | Array:
    """Σ w_i Δ_i: layer i saves Δ_i of its own share w_i of the resource, and nothing elsewhere.

    0.6 x 10 % + 0.4 x 15 % = 12 %:

    >>> round(weighted([0.10, 0.15], [0.6, 0.4]), 12)
    0.12

    Args:
        deltas: (L,) or (L, S).
        weights: (L,) or (L, S), 1 in sum over the layers.

    Returns:
        () or (S,).

    Raises:
        FormulaError: Weights negative, not 1 in sum or not one a layer; Δ > 1; not finite.
    """
    saved = domain.savings(deltas)
    share, saved = domain.aligned(domain.shares(weights), saved)
    return _plain(np.sum(share * saved, axis=0), deltas)


@overload
def by_component(weights: Sequence[float], deltas: Sequence[Sequence[float]]) -> float: ...
@overload
def by_component(weights: Array, deltas: Array) -> Array: ...
def by_component(weights: Sequence[float] | Array, deltas: Sequence[Sequence[float]] | Array) -> float | Array:
    """1 - Σ_c w_c Π_l (1 - Δ_lc): layers multiply within a component, components add.

    With one component it is ``independent``; with one layer a component it is ``weighted``. Shares
    0.6 and 0.4; the first layer halves the first component, the second saves 10 % of both: what is
    left is 0.6 x 0.5 x 0.9 + 0.4 x 1 x 0.9 = 0.63, so 37 % are saved:

    >>> round(by_component([0.6, 0.4], [[0.5, 0.0], [0.1, 0.1]]), 12)
    0.37

    Args:
        weights: Shares of the base usage by component, (C,) or (C, S), 1 in sum.
        deltas: Savings of each layer alone in each component, (L, C) or (L, C, S).

    Returns:
        () or (S,).

    Raises:
        FormulaError: As ``weighted``; not one weight a component.
    """
    left = np.prod(1 - domain.savings(deltas, axes=2), axis=0)
    share, left = domain.aligned(domain.shares(weights), left)
    return _plain(np.sum(share * (1 - left), axis=0), weights)  # = 1 - Σ w Π, and exactly 0 where nothing changes


def by_component_amounts(base: Array, optimized: Array) -> Array:
    """``by_component`` from amounts, where a component may be unused before a layer comes.

    1 - [Σ_{c: R_c > 0} R_c Π_l (R_lc / R_c) + Σ_{c: R_c = 0} Σ_l R_lc] / Σ_c R_c: what a layer puts
    into a component that was empty has no base to scale, so it adds. 6 J and 0 J; one layer halves
    the first, another spends 1 J in the second: 3 + 1 = 4 J are left, so 1/3 is saved:

    >>> round(float(by_component_amounts(np.array([6.0, 0.0]), np.array([[3.0, 0.0], [6.0, 1.0]]))), 12)
    0.333333333333

    Args:
        base: R_c, (C,) or (C, S).
        optimized: R_lc, each layer alone, (L, C) or (L, C, S).

    Returns:
        () or (S,).

    Raises:
        FormulaError: Negative or not finite amounts, nothing used at all, or shapes that do not meet.
    """
    whole = domain.numbers(base, "R_base", axes=1).sum(axis=0)
    left = amounts_by_component(base, optimized).sum(axis=0)
    found: Array = 1 - left / whole
    return found


def amounts_by_component(base: Array, optimized: Array) -> Array:
    """What ``by_component_amounts`` predicts to be left in each component, (C,) or (C, S).

    Raises:
        FormulaError: As ``by_component_amounts``.
    """
    was, now = domain.numbers(base, "R_base", axes=1), domain.numbers(optimized, "R_opt", axes=2)
    for name, amount in (("R_base", was), ("R_opt", now)):
        domain.refuse(name, amount, amount < 0, "an amount is not negative")
    whole = was.sum(axis=0)
    domain.refuse("sum of R_base", whole, whole <= 0, "a saving is a share of a positive amount")
    was, _ = domain.aligned(was, now[0])
    now = now.reshape(now.shape + (1,) * (was.ndim + 1 - now.ndim))
    used = was > 0
    scaled = was * np.prod(now / np.where(used, was, 1.0), axis=0)
    found: Array = np.where(used, scaled, now.sum(axis=0))
    return found


def gap(formula: N, joint: N) -> N:
    """Formula - joint, elementwise, as a fraction: positive where the formula promises too much.

    Raises:
        FormulaError: Not finite.
    """
    domain.numbers(formula, "formula")
    domain.numbers(joint, "joint")
    return formula - joint


def _plain(found: Array, given: object) -> float | Array:
    """A float for a sequence of floats, the array for an array."""
    return found if isinstance(given, np.ndarray) else float(found)
