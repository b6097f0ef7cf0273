"""Savings by layer (alone, main effect, leave-one-out, Shapley, range over orders) and interactions of pairs.

The Shapley shares of all layers sum to the joint saving exactly, in every sample. What needs cells that a planned half
leaves out is None.

Source: Shapley, A Value for n-Person Games (1953); effects and interactions: Jain (1991) ch. 17; many tests: Holm (1979).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from deltastack import composition, statistics
from deltastack.analysis.formula_totals import mean_of, sampled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.formula_totals import Sampled
    from deltastack.statistics import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one layer saves of the base, as fractions of it."""

    layer: str
    alone: Estimate
    main_effect: Estimate | None
    """1 - exp(effect averaged over the settings of the others); None where some cell spends nothing."""
    leave_one_out: Estimate | None
    """What it adds to all others."""
    shapley: Estimate | None
    least: float | None
    greatest: float | None
    """Over all orders in which the layers could be switched on."""


SIGNIFICANT_P = 0.05
ROUNDING = 5e-4
"""An interaction below it prints as 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The log interaction of two layers; above 0 they save less together than the product."""

    first: str
    second: str
    interaction: Estimate
    """With the others off; averaged over their settings where a planned half leaves those cells out."""
    p_holm: float | None
    """Adjusted for all pairs of this resource, of the averaged interaction being 0; None for draws of a model."""

    @property
    def sure(self) -> bool:
        """Whether the sign of the interaction is certain, and its size more than rounding.

        Holm's p is of the interaction averaged over the settings of the others, which may have another size and sign. So the
        interval of the interaction itself has to exclude 0 too.
        """
        e = self.interaction
        if abs(e.value) < ROUNDING or (self.p_holm is not None and self.p_holm >= SIGNIFICANT_P):
            return False
        return e.low is not None and e.high is not None and not e.low <= 0 <= e.high


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


def cell_savings(f: Factorial, confidence: float) -> dict[int, Estimate]:
    """Saving of every cell that was run against the base, by place."""
    found = sampled(f, lambda g: {"": savings(g)[list(f.ran)]})[""]
    return {m: found.estimate(i, confidence) for i, m in enumerate(f.ran)}


def shares(f: Factorial, confidence: float) -> list[Share]:
    """One row a layer, in the factorial's order."""
    found = sampled(f, _readings)
    return [_share(f, found, i, confidence) for i in range(len(f.layers))]


def _readings(f: Factorial) -> dict[str, NDArray[np.float64]]:
    """What a layer adds alone, averaged, last and by Shapley, (k, S) each, where the cells that it needs were run."""
    saved, singles = savings(f), np.array(f.singles)
    found = {"alone": saved[singles] - saved[0]}
    if _logs(f):
        found["main_effect"] = -np.expm1(_effects(f))
    if {f.full, *(f.full & ~s for s in f.singles)} <= {*f.ran}:
        found["leave_one_out"] = saved[f.full] - saved[f.full & ~singles]
    if f.whole:
        found["shapley"] = statistics.shapley(saved)
    return found


def _share(f: Factorial, found: Mapping[str, Sampled], i: int, confidence: float) -> Share:
    least, greatest = _order_range(f, i) if f.whole else (None, None)
    told = {name: s.estimate(i, confidence) for name, s in found.items()}
    rest = {name: told.get(name) for name in ("main_effect", "leave_one_out", "shapley")}
    return Share(layer=f.layers[i], alone=told["alone"], **rest, least=least, greatest=greatest)


def pairs(f: Factorial, confidence: float) -> list[Pair]:
    """Every pair of layers, strongest interaction first; empty where some cell spends nothing."""
    if not _logs(f) or len(f.layers) < 2:  # noqa: PLR2004 - a pair
        return []
    places = list(combinations(range(len(f.layers)), 2))
    adjusted = _holm(f, places)
    sizes = sampled(f, lambda g: {"": _interactions(g, places)})[""]
    found = [
        Pair(first=f.layers[i], second=f.layers[j], interaction=sizes.estimate(n, confidence), p_holm=p)
        for n, ((i, j), p) in enumerate(zip(places, adjusted, strict=True))
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


def _effects(f: Factorial) -> NDArray[np.float64]:
    """Log effect of every layer, averaged over the settings of the others, (k, S)."""
    logs = np.log(f.totals)
    if f.whole:
        return statistics.averaged(logs)[list(f.singles)]
    half = statistics.half_effects(logs)
    return np.stack([half[frozenset({i})] for i in range(len(f.layers))])


def _interactions(f: Factorial, places: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """Log interaction of the pairs, (len(places), S)."""
    logs = np.log(f.totals)
    if f.whole:
        table = statistics.pair_table(logs)
        return np.stack([table[i, j] for i, j in places])
    half = statistics.half_effects(logs)
    return np.stack([half[frozenset({i, j})] for i, j in places])
