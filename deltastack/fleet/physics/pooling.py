"""Memory pooled over hosts: the peak of a sum against the sum of peaks.

With demand X_i(t) of host i and Q the quantile that is provisioned for,

    s = 1 - Q(sum_i X_i) / sum_i Q(X_i)          saved capacity
    utilization gain = 1 / (1 - s) - 1            +65 % utilization is 39.4 % less capacity
    Δ money = f_pool s - overhead                 with the poolable share f_pool of the memory's price

Gaussian demand of coefficient of variation c and correlation r over N hosts has, with z the quantile's score,
s = z c (1 - sqrt((1 + (N - 1) r) / N)) / (1 + z c). At r = 1 nothing is saved.

A step that reads a share phi of its KV through the pool takes max((W + (1 - phi) K) / B_hbm, phi K / B_pool), so it is
slower as soon as phi > B_pool / (B_hbm + B_pool) (for K >> W): the pool holds cold bytes, never live KV.

Source: Li et al., Pond, ASPLOS 2023 (7 % of DRAM cost at pools of 8-16 sockets); this project for the spill guard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from deltastack.errors import OutOfValidityError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


RESAMPLES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Saved capacity with its 95 % block-bootstrap interval, and the demand correlation it rests on."""

    saving: float
    low: float
    high: float
    correlation: float | None
    """None where fewer than two hosts' demands vary, so that there is none."""
    hosts: int


def saving(demand_bytes: ArrayLike, *, quantile: float = 0.99) -> float:
    """Capacity saved by pooling (N hosts, T instants) of demand, as a fraction of the sum of peaks.

    Raises:
        OutOfValidityError: Not at least one host and two instants, or no demand at all.
    """
    demand = _demand(demand_bytes)
    apart = np.quantile(demand, quantile, axis=1).sum()
    if apart <= 0:
        raise OutOfValidityError("no host ever demands memory: there is nothing to pool")
    return float(1 - np.quantile(demand.sum(axis=0), quantile) / apart)


def pooled(demand_bytes: ArrayLike, *, quantile: float = 0.99, block: int = 24, seed: int = 0, interval: bool = True) -> Pooled:
    """``saving`` with a circular block-bootstrap interval over time, (N, T) demand; all hosts keep their instants together.

    Where demand is rare, a resample may hold none: it has no saving, and is left out. Without ``interval`` both ends are the
    saving itself.

    Raises:
        OutOfValidityError: Not at least one host and two instants, or no demand at all.
    """
    demand = _demand(demand_bytes)
    seen = saving(demand, quantile=quantile)
    low, high = _resampled(demand, seen, quantile, block, seed) if interval else (seen, seen)
    return Pooled(
        saving=seen,
        low=low,
        high=high,
        correlation=correlation(demand) if _correlated(demand) else None,
        hosts=demand.shape[0],
    )


def _resampled(demand: NDArray[np.float64], seen: float, quantile: float, block: int, seed: int) -> tuple[float, float]:
    """Both ends of the interval."""
    instants = demand.shape[1]
    length = max(1, min(block, instants))
    starts = np.random.default_rng(seed).integers(0, instants, (RESAMPLES, -(-instants // length)))
    index = (starts[:, :, None] + np.arange(length)).reshape(RESAMPLES, -1)[:, :instants] % instants
    peaks = np.quantile(demand[:, index], quantile, axis=-1).sum(axis=0)
    together = np.quantile(demand.sum(axis=0)[index], quantile, axis=-1)
    low, high = np.quantile([seen, *(1 - together[peaks > 0] / peaks[peaks > 0])], [0.025, 0.975])
    return float(low), float(high)


def correlation(demand_bytes: ArrayLike) -> float:
    """Mean correlation over pairs of (N, T) demands; 1 for a single host.

    From variances: r = (var(sum) - sum var) / ((sum sd)^2 - sum var).

    Raises:
        OutOfValidityError: Not at least one host and two instants, or demands that never vary.
    """
    demand = _demand(demand_bytes)
    if demand.shape[0] == 1:
        return 1.0
    spread = demand.std(axis=1)
    cross = spread.sum() ** 2 - (spread**2).sum()
    if not _correlated(demand):
        raise OutOfValidityError("demand does not vary in time: its correlation is undefined")
    return float((demand.sum(axis=0).var() - (spread**2).sum()) / cross)


def gaussian_saving(hosts: int, variation: float, correlated: float, *, quantile: float = 0.99) -> float:
    """Saved capacity of Gaussian demand: the formula above; 5-15 points low for skewed demand.

    Raises:
        OutOfValidityError: Fewer than one host, a negative variation, or a correlation outside 0..1.
    """
    if hosts < 1 or variation < 0 or not 0 <= correlated <= 1:
        raise OutOfValidityError(
            f"hosts={hosts}, variation={variation}, correlation={correlated}: at least 1, at least 0, within 0..1"
        )
    z = float(stats.norm.ppf(quantile))
    shrink = 1 - math.sqrt((1 + (hosts - 1) * correlated) / hosts)
    return z * variation * shrink / (1 + z * variation)


def utilization_gain(capacity_saving: float) -> float:
    """Rise of utilization that a capacity saving amounts to: 0.394 saved is +65 %.

    Raises:
        OutOfValidityError: A saving of 1 or more.
    """
    if capacity_saving >= 1:
        raise OutOfValidityError(f"a capacity saving is below 1, found {capacity_saving}")
    return 1 / (1 - capacity_saving) - 1


def capacity_saving_of(gain: float) -> float:
    """Capacity saving that a rise of utilization amounts to: +0.65 is 0.394.

    Raises:
        OutOfValidityError: A gain of -1 or less.
    """
    if gain <= -1:
        raise OutOfValidityError(f"a utilization gain is above -1, found {gain}")
    return 1 - 1 / (1 + gain)


def spill_threshold(fast_bytes_per_s: float, pool_bytes_per_s: float) -> float:
    """Largest share of live KV on the pool that does not slow a step: B_pool / (B_hbm + B_pool).

    Raises:
        OutOfValidityError: A bandwidth that is not positive.
    """
    if min(fast_bytes_per_s, pool_bytes_per_s) <= 0:
        raise OutOfValidityError("bandwidths must be positive")
    return pool_bytes_per_s / (fast_bytes_per_s + pool_bytes_per_s)


def break_even_bytes_per_s(kv_bytes_per_token: float, prefill_s_per_token: float) -> float:
    """Tier bandwidth above which restoring a prefix token is quicker than computing it again.

    Raises:
        OutOfValidityError: A time that is not positive.
    """
    if prefill_s_per_token <= 0:
        raise OutOfValidityError(f"prefill takes time, found {prefill_s_per_token} s a token")
    return kv_bytes_per_token / prefill_s_per_token


def _correlated(demand: NDArray[np.float64]) -> bool:
    """Whether a correlation is defined: a single host, or at least two whose demands vary."""
    return demand.shape[0] == 1 or int(np.count_nonzero(np.ptp(demand, axis=1))) > 1


def _demand(demand_bytes: ArrayLike) -> NDArray[np.float64]:
    demand = np.asarray(demand_bytes, dtype=np.float64)
    if demand.ndim != 2 or demand.shape[0] < 1 or demand.shape[1] < 2 or not np.isfinite(demand).all():  # noqa: PLR2004 - (hosts, instants)
        raise OutOfValidityError(
            f"demand must be finite, (hosts, instants) with at least two instants; found shape {demand.shape}"
        )
    return demand
