"""Many tests at once: adjusted p-values, to be held against the one alpha.

Holm (layers, confirmatory): chance of even one false claim at most alpha. p_(1) <= p_(2) <= ...:

    adjusted_(i) = max over j <= i of min(1, (m - j + 1) p_(j))

Source: S. Holm, Scandinavian J. of Statistics 6, 1979. It assumes nothing of how the tests depend on each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltastack.composition import domain

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Array = NDArray[np.float64]


def holm(p: ArrayLike) -> Array:
    """Holm's adjusted p-values, (m,) in the order given.

    0.01, 0.04, 0.03: times 3 is 0.03; 0.03 times 2 is 0.06; 0.04 times 1 stays at least 0.06:

    >>> holm([0.01, 0.04, 0.03]).round(12).tolist()
    [0.03, 0.06, 0.06]

    Raises:
        FormulaError: None given, or not probabilities.
    """
    found = _probabilities(p)
    order = np.argsort(found, kind="stable")
    raised = np.maximum.accumulate(np.arange(len(found), 0, -1) * found[order])
    return _back(np.minimum(raised, 1.0), order)


def _probabilities(p: ArrayLike) -> Array:
    found = domain.numbers(p, "p", axes=1)
    domain.refuse("p", found, (found < 0) | (found > 1), "a probability lies between 0 and 1")
    return found


def _back(adjusted: Array, order: NDArray[np.intp]) -> Array:
    found = np.empty_like(adjusted)
    found[order] = adjusted
    return found
