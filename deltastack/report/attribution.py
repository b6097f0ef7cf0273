"""Who saved what: Shapley shares, the range over orders, alone and last in, log interactions of pairs.

The Shapley shares of all layers sum to the joint saving exactly, in every sample.

Source: Shapley, A Value for n-Person Games (1953); interactions: Jain (1991) ch. 17.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from deltastack import composition, statistics
from deltastack.report.totals import Estimate, estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.report.cells import Factorial


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one layer saves of the base, as fractions of it."""

    layer: str
    shapley: Estimate
    alone: Estimate
    last_in: Estimate
    least: float
    greatest: float
    """Over all orders in which the layers could be switched on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The log interaction of two layers with the others off; above 0 they save less together than the product."""

    first: str
    second: str
    interaction: Estimate


def savings(f: Factorial) -> NDArray[np.float64]:
    """Saving of every cell against the base, (2^k, S)."""
    total = f.totals
    found: NDArray[np.float64] = composition.delta(np.broadcast_to(total[0], total.shape), total)
    return found


def saving_of(f: Factorial, *, m: int) -> NDArray[np.float64]:
    """Saving of the cell at place ``m`` against the base, (S,)."""
    total = f.totals
    found: NDArray[np.float64] = composition.delta(total[0], total[m])
    return found


def shares(f: Factorial, confidence: float) -> list[Share]:
    """One row a layer, in the factorial's order."""
    least, greatest = statistics.order_range(savings(f)[:, 0] if f.drawn else savings(f).mean(axis=1))
    return [
        Share(
            layer=layer,
            shapley=estimate(f, partial(_shapley, i=i), confidence),
            alone=estimate(f, partial(_marginal, on=1 << i, off=0), confidence),
            last_in=estimate(f, partial(_marginal, on=f.full, off=f.full & ~(1 << i)), confidence),
            least=float(least[i]),
            greatest=float(greatest[i]),
        )
        for i, layer in enumerate(f.layers)
    ]


def pairs(f: Factorial, confidence: float) -> list[Pair]:
    """Every pair of layers, strongest interaction first; none where some cell spends nothing."""
    if not (f.totals > 0).all():
        return []
    found = [
        Pair(
            first=f.layers[i],
            second=f.layers[j],
            interaction=estimate(f, partial(_interaction, i=i, j=j), confidence),
        )
        for i, j in combinations(range(len(f.layers)), 2)
    ]
    return sorted(found, key=lambda p: -abs(p.interaction.value))


def _shapley(f: Factorial, *, i: int) -> NDArray[np.float64]:
    share: NDArray[np.float64] = statistics.shapley(savings(f))[i]
    return share


def _marginal(f: Factorial, *, on: int, off: int) -> NDArray[np.float64]:
    saved = savings(f)
    added: NDArray[np.float64] = saved[on] - saved[off]
    return added


def _interaction(f: Factorial, *, i: int, j: int) -> NDArray[np.float64]:
    beta: NDArray[np.float64] = statistics.pair_table(np.log(f.totals))[i, j]
    return beta
