"""Speed-ups and savings are different numbers: 2.0x = 50 %. And what n small steps give together.

A gain is the factor base / optimized by which more work is done with the same resource.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from deltastack.composition import domain
from deltastack.errors import FormulaError

N = TypeVar("N", float, NDArray[np.float64])

_ROUNDING = 1e-9
"""A whole number of modules stays whole: log(1.01**n) / log(1.01) is n only to about 1e-13."""


def gain_to_delta(gain: N) -> N:
    """Δ = 1 - 1 / gain, elementwise: twice as fast saves half of the time.

    >>> gain_to_delta(2.0)
    0.5

    Raises:
        FormulaError: gain <= 0 or not finite.
    """
    factor = domain.numbers(gain, "gain")
    domain.refuse("gain", factor, factor <= 0, "a gain is a positive factor: 1.5 for 1.5x, not a percentage")
    return 1 - 1 / gain


def delta_to_gain(delta: N) -> N:
    """Gain = 1 / (1 - Δ), elementwise: half of the time is twice as fast.

    >>> delta_to_gain(0.5)
    2.0

    Raises:
        FormulaError: Δ >= 1 or not finite.
    """
    saved = domain.savings(delta, axes=0)
    domain.refuse("Δ", saved, saved >= 1, "a saving of everything has no finite speed-up")
    return 1 / (1 - delta)


def compound(one_percent: float, n: int) -> float:
    """(1 + x)^n - 1: the change after ``n`` equal steps, each on what the last one left.

    1.01^3 - 1 = 0.030301; 0.99^3 - 1 = -0.029701:

    >>> round(compound(0.01, 3), 9), round(compound(-0.01, 3), 9)
    (0.030301, -0.029701)

    Raises:
        FormulaError: x < -1, n < 0, or not finite.
    """
    step = float(domain.numbers(one_percent, "one_percent"))
    if step < -1 or n < 0:
        raise FormulaError(f"compound({step:g}, {n}): wanted a step of at least -1 (all) and a count of at least 0")
    return float((1 + step) ** n - 1)


def modules_exact(target: float, per_module: float) -> float:
    """ln(1 + target) / ln(1 + per_module): how many equal steps reach ``target``, as a real number.

    +50 % by +1 % a module: ln 1.5 / ln 1.01 = 40.75; -20 % by -1 %: ln 0.8 / ln 0.99 = 22.20:

    >>> round(modules_exact(0.5, 0.01), 2), round(modules_exact(-0.2, -0.01), 2), round(modules_exact(-0.5, -0.01), 2)
    (40.75, 22.2, 68.97)

    Raises:
        FormulaError: A change of -1 or less, no change, or two of opposite sign.
    """
    both = domain.numbers([target, per_module], "target and change a module")
    if (both <= -1).any() or both[0] * both[1] <= 0:
        message = f"target {target:g} by {per_module:g} a module: wanted two changes of one sign, neither zero, both above -1"
        raise FormulaError(message)
    return math.log1p(target) / math.log1p(per_module)


def modules_needed(target: float, per_module: float) -> int:
    """The least whole number of equal steps that reaches ``target``.

    >>> modules_needed(0.5, 0.01), modules_needed(-0.2, -0.01), modules_needed(-0.5, -0.01)
    (41, 23, 69)

    Raises:
        FormulaError: As ``modules_exact``.
    """
    return max(1, math.ceil(modules_exact(target, per_module) - _ROUNDING))
