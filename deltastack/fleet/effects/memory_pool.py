"""Host memory that several replicas share: provisioned for the peak of their sum instead of the sum of their peaks.

    memory factor = 1 - pooled_share s              of the host memory's byte-seconds
    cost factor   = 1 - pooled_share (s - overhead)  of its price; controllers, switches and ports are paid for all that is pooled
    room          = kv_bytes / (1 - live_share)      only while live_share <= B_pool / (B_hbm + B_pool)

s is observed: keys and values of each replica over time in the simulation, as the demand that its host memory follows
(physics/pooling: quantile of the sum against sum of quantiles, block bootstrap, correlation estimated, never assumed 0).

Source: Li et al., Pond, ASPLOS 2023, for what a pool saves (7 % of DRAM cost); this project for the rest.
Assumes: host memory in use follows the keys and values in use; a pool saves money and memory, never accelerator memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack.errors import OutOfValidityError
from deltastack.fleet.physics import pooling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.platform import Platform

LEAST_REPLICAS = 2


class Pool(NamedTuple):
    """What pooling makes of the host memory of a deployment, and the demand that it rests on."""

    saving: float
    """Of the pooled capacity."""
    low: float
    high: float
    """95 % block-bootstrap interval of ``saving``."""
    correlation: float
    """Between the demands of replicas that share a pool."""
    memory_factor: float
    cost_factor: float

    def words(self) -> str:
        """What was observed, in words."""
        return (
            f"pooling saves {self.saving:.1%} of the pooled capacity ({self.low:.1%} to {self.high:.1%}) at a demand correlation "
            f"of {self.correlation:.2f}"
        )


def observe(demand: NDArray[np.float64], deployment: Deployment) -> Pool | None:
    """The pool of ``deployment`` under ``demand`` (G replicas, T instants) [any unit]; None where nothing is pooled.

    Raises:
        OutOfValidityError: Fewer than two replicas, or demand that is never there or never varies.
    """
    memory = deployment.memory
    if memory.pooled_share == 0:
        return None
    replicas = demand.shape[0]
    if min(replicas, memory.pool_hosts) < LEAST_REPLICAS:
        raise OutOfValidityError(
            f"a pool needs at least {LEAST_REPLICAS} replicas; there are {replicas}, and at most {memory.pool_hosts} share one"
        )
    groups = np.array_split(demand, -(-replicas // memory.pool_hosts))
    parts = [pooling.pooled(group) for group in groups]
    apart = np.array([np.quantile(group, 0.99, axis=1).sum() for group in groups])
    weight = apart / apart.sum()
    saving, low, high, correlated = (
        float(weight @ np.array(column))
        for column in zip(*((p.saving, p.low, p.high, p.correlation) for p in parts), strict=True)
    )
    return Pool(
        saving=saving,
        low=low,
        high=high,
        correlation=correlated,
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
