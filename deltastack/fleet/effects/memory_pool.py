"""Host memory that several replicas share: provisioned for the peak of their sum instead of the sum of their peaks.

    memory factor = 1 - pooled_share s              of the host memory's byte-seconds
    cost factor   = 1 - pooled_share (s - overhead)  of its price; controllers, switches and ports are paid for all that is pooled
    room          = kv_bytes / (1 - live_share)      only while live_share <= B_pool / (B_hbm + B_pool)

s is observed: the bytes that each replica's tier holds in host memory over time,

    demand_g(t) = min(capacity_bytes, bytes that replica g wrote in (t - window_s, t])

with window_s = ln 10 times the mean interval of reuse: the working set of the tier, since 90 % of what comes again does so
within the window (physics/pooling: quantile of the sum against sum of quantiles, block bootstrap, correlation estimated, never
assumed 0). Keys and values in accelerator memory are no demand on host memory. A tier that is told no reuse keeps all that it
wrote. Where nothing fills host memory (no tier, or one on flash) its demand does not vary, and a replica alone has nobody to
share with: s is 0 and the switches are paid, a loss.

Source: Li et al., Pond, ASPLOS 2023, for what a pool saves (7 % of DRAM cost); P. Denning, CACM 11 (1968), for working sets; this
project for the rest. Assumes: a pool saves money and memory, never accelerator memory; what a request computes is written when it
ends.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack.errors import OutOfValidityError
from deltastack.fleet.physics import pooling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.effects.kv_tier import Tier
    from deltastack.fleet.simulator import Result

INSTANTS = 288
"""At which a pool sees the demand of its replicas: every five minutes of a day."""
REUSES = math.log(10)
"""Mean times of reuse within which 90 % of what comes again does so."""


class Pool(NamedTuple):
    """What pooling makes of the host memory of a deployment, and the demand that it rests on."""

    saving: float
    """Of the pooled capacity."""
    low: float
    high: float
    """95 % block-bootstrap interval of ``saving``."""
    correlation: float | None
    """Between the demands of replicas that share a pool; None where fewer than two vary."""
    memory_factor: float
    cost_factor: float
    idle: bool = False
    """Whether nothing filled host memory."""

    def words(self) -> str:
        """What was observed, in words."""
        if self.idle:
            return "nothing fills host memory here: no tier of keys and values lies in it, so that a pool has nothing to share"
        together = "of no two that vary" if self.correlation is None else f"correlation of {self.correlation:.2f}"
        return (
            f"pooling saves {self.saving:.1%} of the pooled capacity ({self.low:.1%} to {self.high:.1%}) at a demand {together}"
        )


def seen(tier: Tier | None, result: Result, deployment: Deployment, *, interval: bool = True) -> Pool | None:
    """The pool of ``deployment`` under the demand of one run; None where nothing is pooled.

    Args:
        tier: What fills host memory.
        result: The run.
        deployment: What ran.
        interval: Whether its words are wanted, which say how well its saving is known; else both ends are the saving itself.
    """
    if deployment.memory.pooled_share == 0:
        return None
    return observe(demand(tier, result, deployment), deployment, interval=interval)


def demand(tier: Tier | None, result: Result, deployment: Deployment) -> NDArray[np.float64]:
    """Bytes (G replicas, ``INSTANTS``) that each replica's tier holds in host memory over the run; 0 without such a tier."""
    held = np.zeros((deployment.replicas, INSTANTS))
    if tier is None or deployment.kv_tier.medium != "host":
        return held
    at_s = np.linspace(0.0, result.span_s, INSTANTS + 1)[1:]
    window_s = deployment.kv_tier.mean_reuse_interval_s * REUSES if deployment.kv_tier.mean_reuse_interval_s else np.inf
    for g in range(deployment.replicas):
        mine = result.replica == g
        order = np.argsort(result.finish_s[mine], kind="stable")
        finish_s = result.finish_s[mine][order]
        written = np.concatenate([[0.0], np.cumsum(tier.written_bytes[mine][order])])
        upto, since = (np.searchsorted(finish_s, x, side="right") for x in (at_s, at_s - window_s))
        held[g] = written[upto] - written[since]
    return np.minimum(held, deployment.kv_tier.capacity_bytes or np.inf)


def observe(demand: NDArray[np.float64], deployment: Deployment, *, interval: bool = True) -> Pool | None:
    """The pool of ``deployment`` under ``demand`` (G replicas, T instants) [any unit]; None where nothing is pooled."""
    memory = deployment.memory
    if memory.pooled_share == 0:
        return None
    if not demand.any():
        return Pool(0.0, 0.0, 0.0, None, 1.0, 1 + memory.pooled_share * memory.pool_overhead_share, idle=True)
    groups = np.array_split(demand, -(-demand.shape[0] // max(memory.pool_hosts, 1)))
    apart = np.array([np.quantile(group, 0.99, axis=1).sum() for group in groups])
    parts = [pooling.pooled(group, interval=interval) for group, needed in zip(groups, apart, strict=True) if needed > 0]
    weight = apart[apart > 0] / apart.sum()
    saving, low, high = (float(weight @ [getattr(p, k) for p in parts]) for k in ("saving", "low", "high"))
    known = [p.correlation for p in parts if p.correlation is not None]
    return Pool(
        saving=saving,
        low=low,
        high=high,
        correlation=float(np.mean(known)) if known else None,
        memory_factor=1 - memory.pooled_share * saving,
        cost_factor=1 - memory.pooled_share * (saving - memory.pool_overhead_share),
    )


def room(kv_bytes: float, deployment: Deployment, platform: Platform) -> float:
    """Room for live keys and values [bytes] with what the pool adds to ``kv_bytes`` of accelerator memory.

    Raises:
        OutOfValidityError: More live keys and values on the pool than its bandwidth carries without slowing a step.
    """
    memory = deployment.memory
    if memory.live_share == 0:
        return kv_bytes
    most = pooling.spill_threshold(platform.memory_bytes_per_s, memory.pool_bytes_per_s)
    if memory.live_share > most:
        raise OutOfValidityError(
            f"{memory.live_share:.1%} of live keys and values on the pool slows every step: at most {most:.1%} may spill to "
            f"{memory.pool_bytes_per_s / 1e9:.0f} GB/s beside {platform.memory_bytes_per_s / 1e9:.0f} GB/s"
        )
    return kv_bytes / (1 - memory.live_share)
