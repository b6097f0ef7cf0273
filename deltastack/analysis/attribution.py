"""Who saved what: Shapley shares, the range over orders, alone, averaged and last in, and the interactions of pairs.

The Shapley shares of all layers sum to the joint saving exactly, in every sample. What needs cells that a planned half
leaves out is None.

Source: Shapley, A Value for n-Person Games (1953); effects and interactions: Jain (1991) ch. 17; many tests: Holm (1979).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from deltastack import composition, statistics
from deltastack.analysis.formula_totals import Estimate, estimate, mean_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.analysis.factorial import Factorial


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one layer saves of the base, as fractions of it."""

    layer: str
    alone: Estimate
    averaged: Estimate | None
    """1 - exp(effect averaged over the settings of the others); None where some cell spends nothing."""
    last_in: Estimate | None
    shapley: Estimate | None
    least: float | None
    greatest: float | None
    """Over all orders in which the layers could be switched on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The log interaction of two layers; above 0 they save less together than the product."""

    first: str
    second: str
    interaction: Estimate
    """With the others off; averaged over their settings where a planned half leaves those cells out."""
    p_holm: float | None
    """Adjusted for all pairs of this resource, of the averaged interaction being 0; None for draws of a model."""


def savings(f: Factorial) -> NDArray[np.float64]:
    """Saving of every cell against the base, (2^k, S); NaN for a cell that was not run."""
    total = f.totals
    found: NDArray[np.float64] = 1 - total / total[0]
    return found


def saving_of(f: Factorial, *, m: int) -> NDArray[np.float64]:
    """Saving of the cell at place ``m`` against the base, (S,)."""
    total = f.totals
    found: NDArray[np.float64] = composition.delta(total[0], total[m])
    return found


def shares(f: Factorial, confidence: float) -> list[Share]:
    """One row a layer, in the factorial's order."""
    return [_share(f, i, confidence) for i in range(len(f.layers))]


def _share(f: Factorial, i: int, confidence: float) -> Share:
    without = f.full & ~(1 << i)
    ends = _order_range(f, i) if f.whole else (None, None)
    return Share(
        layer=f.layers[i],
        alone=estimate(f, partial(_marginal, on=1 << i, off=0), confidence),
        averaged=estimate(f, partial(_averaged, i=i), confidence) if _logs(f) else None,
        last_in=estimate(f, partial(_marginal, on=f.full, off=without), confidence) if {f.full, without} <= {*f.ran} else None,
        shapley=estimate(f, partial(_shapley, i=i), confidence) if f.whole else None,
        least=ends[0],
        greatest=ends[1],
    )


def pairs(f: Factorial, confidence: float) -> list[Pair]:
    """Every pair of layers, strongest interaction first; none where some cell spends nothing."""
    if not _logs(f) or len(f.layers) < 2:  # noqa: PLR2004 - a pair
        return []
    places = list(combinations(range(len(f.layers)), 2))
    adjusted = _holm(f, places)
    found = [
        Pair(
            first=f.layers[i],
            second=f.layers[j],
            interaction=estimate(f, partial(_interaction, i=i, j=j), confidence),
            p_holm=p,
        )
        for (i, j), p in zip(places, adjusted, strict=True)
    ]
    return sorted(found, key=lambda p: -abs(p.interaction.value))


def _logs(f: Factorial) -> bool:
    """Whether every cell that was run has a logarithm."""
    return bool((f.totals[list(f.ran)] > 0).all())


def _holm(f: Factorial, places: list[tuple[int, int]]) -> list[float | None]:
    """Holm's p of every averaged pair over blocks of measurements, or over what these lie in where that differs."""
    if f.drawn or f.amounts.shape[-1] < 2 or not f.whole:  # noqa: PLR2004 - blocks show spread from two on
        return [None] * len(places)
    effects = statistics.averaged(np.log(f.totals))
    p = [mean_of(f, effects[1 << i | 1 << j]).p for i, j in places]
    return [float(x) for x in statistics.holm(p)]


def _order_range(f: Factorial, i: int) -> tuple[float, float]:
    """Least and greatest marginal saving, of the central draw or of the mean over blocks (a ratio of means)."""
    one = replace(f, amounts=f.amounts[..., :1] if f.drawn else f.amounts.mean(axis=-1, keepdims=True))
    least, greatest = statistics.order_range(savings(one)[:, 0])
    return float(least[i]), float(greatest[i])


def _shapley(f: Factorial, *, i: int) -> NDArray[np.float64]:
    share: NDArray[np.float64] = statistics.shapley(savings(f))[i]
    return share


def _marginal(f: Factorial, *, on: int, off: int) -> NDArray[np.float64]:
    saved = savings(f)
    added: NDArray[np.float64] = saved[on] - saved[off]
    return added


def _averaged(f: Factorial, *, i: int) -> NDArray[np.float64]:
    logs = np.log(f.totals)
    effect = statistics.averaged(logs)[1 << i] if f.whole else statistics.half_effects(logs)[frozenset({i})]
    found: NDArray[np.float64] = -np.expm1(effect)
    return found


def _interaction(f: Factorial, *, i: int, j: int) -> NDArray[np.float64]:
    logs = np.log(f.totals)
    if not f.whole:
        return statistics.half_effects(logs)[frozenset({i, j})]
    beta: NDArray[np.float64] = statistics.pair_table(logs)[i, j]
    return beta
