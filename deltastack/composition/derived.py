"""Components that follow from the others: on a fleet that stays as large as it is, idle is the rest.

A layer that makes feed-forward quicker makes idle longer. Idle is then no component that layers scale, and growth of one layer
must not multiply growth of another: it is derived from what is predicted of the others.

    rest           idle = max(P Π_l (P_l / P) - Σ_c R_c Π_l (R_lc / R_c), 0)
    at a rate      idle = r Π_l (r_l / r) T

with P what is provisioned: idle and all c, apart from what lies outside (host memory, storage); r the amount of idle for each
second of idle time; T the idle time that the first line predicts.

By hand: 10 s provisioned, 4 feed-forward, 2 attention, 4 idle; one layer halves the first, another the second: idle is
10 - 2 - 1 = 7 s, where scaling would say 4 x 1.5 x 1.25 = 7.5. At 10 J an idle second that is 70 J.

Source: this project, decision 0011.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.composition.formulas import amounts_by_component

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def with_rest(
    base: NDArray[np.float64], optimized: NDArray[np.float64], idle: int, outside: Sequence[int] = ()
) -> NDArray[np.float64]:
    """Amounts left by component where ``idle`` is what others leave of what is provisioned.

    >>> base = np.array([4.0, 2.0, 4.0])
    >>> with_rest(base, np.array([[2.0, 2.0, 6.0], [4.0, 1.0, 5.0]]), 2).tolist()
    [2.0, 1.0, 7.0]

    Args:
        base: R_c, (C,) or (C, S).
        optimized: R_lc, each layer alone, (L, C) or (L, C, S).
        idle: The place of the component that is derived.
        outside: Places of components that nobody provisions together with it.

    Returns:
        (C,) or (C, S).

    Raises:
        FormulaError: As ``by_component_amounts``.
    """
    left = amounts_by_component(base, optimized)
    inside = [c for c in range(base.shape[0]) if c not in outside]
    provisioned, alone = base[inside].sum(axis=0), optimized[:, inside].sum(axis=1)
    whole = provisioned * np.prod(alone / np.where(provisioned > 0, provisioned, 1.0), axis=0)
    busy = left[[c for c in inside if c != idle]].sum(axis=0)
    left[idle] = np.maximum(whole - busy, 0.0)
    return left


def with_rate(
    base: NDArray[np.float64],
    optimized: NDArray[np.float64],
    idle: int,
    idle_time: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Amounts left by component where ``idle`` is an amount for each second of the idle time that is predicted.

    >>> base = np.array([400.0, 200.0, 40.0])
    >>> alone = np.array([[200.0, 200.0, 60.0], [400.0, 100.0, 50.0]])
    >>> with_rate(base, alone, 2, (np.array(4.0), np.array([6.0, 5.0]), np.array(7.0))).tolist()
    [200.0, 100.0, 70.0]

    Args:
        base: R_c, (C,) or (C, S).
        optimized: R_lc, each layer alone, (L, C) or (L, C, S).
        idle: The place of the component that is derived.
        idle_time: Of the base, () or (S,); of each layer alone, (L,) or (L, S); as predicted, () or (S,).

    Returns:
        (C,) or (C, S).

    Raises:
        FormulaError: As ``by_component_amounts``.
    """
    left = amounts_by_component(base, optimized)
    was_s, alone_s, predicted_s = idle_time
    rate = _over(base[idle], was_s)
    ratio = np.prod(np.where(alone_s > 0, _over(_over(optimized[:, idle], alone_s), rate), 1.0), axis=0)
    left[idle] = np.where(was_s > 0, rate * ratio * predicted_s, left[idle])
    return left


def _over(amount: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    """A quotient; 1 where there is nothing to divide by."""
    found: NDArray[np.float64] = np.where(by > 0, amount / np.where(by > 0, by, 1.0), 1.0)
    return found
