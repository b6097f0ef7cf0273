"""False-positive check: two null factors, analysed exactly like real ones.

*run_order* says whether a run came early or late in its block, *random* is drawn at random; neither switches anything,
so each splits runs of the very same cells into two halves, A and A. With r(b, m) the log amount of cell m in block b less the
mean of m over all B blocks, and x = ±1,

    c_b = √(B / (B - 1)) mean over m of x  r          and with a layer's sign s_m = ±1:   mean over m of x s r

its t interval over blocks should hold 0 in ``confidence`` of all cases; the root gives back what the mean of m took away. The
order was drawn once, so it gives one interval for itself and one a layer, and it is loud too where the machine drifts inside
a block; the random factor is drawn ``DRAWS`` times on the same runs, so its rate is a rate.

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

    from deltastack.analysis.factorial import Factorial
    from deltastack.statistics import Bounds

ORDER, COIN = FACTORS = ("run_order", "random")
DRAWS = 500


class NullEffect(NamedTuple):
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


class NullRate(NamedTuple):
    """How many intervals of one factor claim an effect that is not there, over so many draws of it."""

    factor: str
    draws: int
    tests: int
    false: int

    @property
    def share(self) -> float:
        """The false-positive rate, a fraction."""
        return self.false / self.tests


class _Runs(NamedTuple):
    """Residuals (B, M), whether each run came late (+1) or early (-1), and the signs (k + 1, M) of nothing and of each layer."""

    residual: NDArray[np.float64]
    late: NDArray[np.float64]
    signs: NDArray[np.float64]


def nulls(joint: pd.DataFrame, f: Factorial, confidence: float, seed: int = 0) -> list[NullEffect]:
    """Every null effect of one measured resource, the random one drawn once; as ``rates`` where there is none."""
    runs = _ready(joint, f)
    if runs is None:
        return []
    found = []
    for factor, x in zip(FACTORS, (runs.late[None], _coins(runs, 1, seed)), strict=True):
        bounds = _bounds(runs, x, confidence)
        rows = zip((None, *f.layers), *(b.tolist() for b in bounds), strict=True)
        found += [NullEffect(factor, *row) for row in rows]
    return found


def rates(joint: pd.DataFrame, f: Factorial, confidence: float, draws: int = DRAWS, seed: int = 0) -> list[NullRate]:
    """The false-positive rate of each factor; none for draws of a model, under three blocks, or where an amount is 0."""
    runs = _ready(joint, f)
    if runs is None:
        return []
    found = []
    for factor, x in zip(FACTORS, (runs.late[None], _coins(runs, draws, seed)), strict=True):
        _, low, high = _bounds(runs, x, confidence)
        found.append(NullRate(factor, len(x), low.size, int(np.count_nonzero((low > 0) | (high < 0)))))
    return found


def _bounds(runs: _Runs, x: NDArray[np.float64], confidence: float) -> Bounds:
    """Effects and their intervals, (D x (k + 1),) each, of D labellings (D, B, M)."""
    effects = np.einsum("dbm,bm,im->bdi", x, runs.residual, runs.signs) / runs.residual.shape[1]
    return statistics.mean_bounds(effects.reshape(len(effects), -1), confidence=confidence)


def _coins(runs: _Runs, draws: int, seed: int) -> NDArray[np.float64]:
    """As many heads as tails in every block, (D, B, M)."""
    half = np.where(np.arange(runs.late.shape[1]) % 2, 1.0, -1.0)
    return np.random.default_rng(seed).permuted(np.broadcast_to(half, (draws, *runs.late.shape)), axis=2)


def _ready(joint: pd.DataFrame, f: Factorial) -> _Runs | None:
    logs, late = _runs(joint, f)
    blocks = len(logs)
    if f.drawn or blocks < 3 or not np.isfinite(logs).all():  # noqa: PLR2004 - residuals of two blocks mirror each other
        return None
    residual = (logs - logs.mean(axis=0)) * np.sqrt(blocks / (blocks - 1))
    on = np.array(f.ran)[None] >> np.arange(len(f.layers))[:, None] & 1
    return _Runs(residual, late, np.vstack([np.ones(len(f.ran)), np.where(on, 1.0, -1.0)]))


def _runs(joint: pd.DataFrame, f: Factorial) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log totals, (blocks, cells), and whether each came late in its block (+1) or early (-1)."""
    mine = joint[
        (joint["bench"] == str(Bench(f.bench)))
        & (joint["operating_point"] == str(f.operating_point))
        & (joint["resource"] == str(f.resource))
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
