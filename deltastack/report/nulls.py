"""Two factors that do nothing, carried through the measured factorial: how often the machinery cries wolf.

*order* says whether a run came early or late in its block, *coin* is drawn at random; neither can change an amount. With
r(b, m) the log amount of cell m in block b less the mean of m over all B blocks, and x = ±1,

    c_b = √(B / (B - 1)) mean over m of  x r          and with a layer's sign s_m = ±1:   mean over m of x s r

its t interval over blocks should hold 0 in ``confidence`` of all cases; the root gives back what the mean of m took away.

Source: A/A tests; negative controls as of Lipsitch et al., Epidemiology 21 (2010). Assumes: as many early as late runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack import statistics
from deltastack.model import Bench, cell_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from deltastack.report.cells import Factorial

FACTORS = ("order", "coin")


class Null(NamedTuple):
    """One effect that must be 0, in log scale."""

    factor: str
    layer: str | None
    """The layer whose interaction with the factor this is; None for the factor itself."""
    effect: float
    low: float
    high: float

    @property
    def false(self) -> bool:
        """Whether the interval claims an effect."""
        return not self.low <= 0 <= self.high


def nulls(joint: pd.DataFrame, f: Factorial, confidence: float, seed: int = 0) -> list[Null]:
    """Every null effect of one measured resource; none for draws of a model, under three blocks, or where an amount is 0."""
    logs, late = _runs(joint, f)
    blocks = len(logs)
    if f.drawn or blocks < 3 or not np.isfinite(logs).all():  # noqa: PLR2004 - residuals of two blocks mirror each other
        return []
    residual = (logs - logs.mean(axis=0)) * np.sqrt(blocks / (blocks - 1))
    coin = np.random.default_rng(seed).permuted(np.where(np.arange(logs.shape[1]) % 2, 1.0, -1.0) + np.zeros_like(logs), axis=1)
    found = []
    for factor, sign in zip(FACTORS, (late, coin), strict=True):
        found.append(_null(factor, None, sign * residual, confidence))
        for i, layer in enumerate(f.layers):
            on = np.where(np.array(f.ran) >> i & 1, 1.0, -1.0)
            found.append(_null(factor, layer, sign * on * residual, confidence))
    return found


def _null(factor: str, layer: str | None, products: NDArray[np.float64], confidence: float) -> Null:
    middle, low, high = (float(x) for x in statistics.mean_bounds(products.mean(axis=1), confidence=confidence))
    return Null(factor, layer, middle, low, high)


def _runs(joint: pd.DataFrame, f: Factorial) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log totals, (blocks, cells), and whether each came late in its block (+1) or early (-1)."""
    mine = joint[
        (joint["bench"] == str(Bench(f.bench))) & (joint["basis"] == str(f.basis)) & (joint["resource"] == str(f.resource))
    ]
    keys = mine.assign(place=[f.place_of(cell_of(c)) for c in mine["cell"]])
    runs = keys.groupby(["block", "replicate", "place", "position"], sort=True)["amount"].sum().reset_index()
    runs = runs.groupby(["block", "replicate", "place"], sort=True).mean().reset_index()
    wide = runs.pivot_table(index=["block", "replicate"], columns="place", values=["amount", "position"]).dropna()
    position = wide["position"].to_numpy(dtype=np.float64)
    rank = position.argsort(axis=1).argsort(axis=1)
    with np.errstate(divide="ignore"):
        logs = np.log(wide["amount"].to_numpy(dtype=np.float64))
    return logs, np.where(rank >= logs.shape[1] / 2, 1.0, -1.0)
