"""Memory pool (CXL): replicas share host memory that each of them needs only at its peak."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from deltastack.errors import OutOfValidityError
from deltastack.layers.technique import Technique
from deltastack.model import Params

if TYPE_CHECKING:
    from deltastack.fleet.deployment import Deployment


class MemoryPoolParams(Params):
    """The pool and its bus."""

    poolable_share: float = Field(ge=0, le=1, description="of host memory")
    hosts: int = Field(ge=1, description="most replicas behind one pool")
    overhead_share: float = Field(ge=0, description="price of controllers, switches and ports over that of the pooled memory")
    generation: Literal["gen5", "gen6"]
    gen5_bytes_per_s: float = Field(gt=0)
    gen6_bytes_per_s: float = Field(gt=0)
    latency_s: float = Field(ge=0)
    live_share: float = Field(ge=0, lt=1, description="of live keys and values, on the pool")


class MemoryPool(Technique[MemoryPoolParams]):
    """A share of host memory provisioned for the peak of the sum of demands. Money and host memory; never accelerator memory.

    The testbed is one machine and shares with no other.
    """

    name = "memory_pool"
    params = MemoryPoolParams

    def rewrite(self, deployment: Deployment, p: MemoryPoolParams) -> Deployment:
        """The deployment with a pool; what it saves is observed when it serves, and is nothing for a replica alone.

        Raises:
            OutOfValidityError: No host memory.
        """
        memory = deployment.memory
        if not memory.host_bytes_per_replica:
            raise OutOfValidityError("a pool needs host memory: deployment.host_bytes_per_replica is 0 in params/fleet.yaml")
        bandwidth = {"gen5": p.gen5_bytes_per_s, "gen6": p.gen6_bytes_per_s}[p.generation]
        pooled = replace(
            memory,
            pooled_share=p.poolable_share,
            pool_hosts=p.hosts,
            pool_overhead_share=p.overhead_share,
            pool_bytes_per_s=bandwidth,
            pool_latency_s=p.latency_s,
            live_share=p.live_share,
        )
        words = (
            f"{p.poolable_share:.0%} of {memory.host_bytes_per_replica / 1e9:.0f} GB of host memory a replica, pooled over "
            f"{min(deployment.replicas, p.hosts)} at {bandwidth / 1e9:.0f} GB/s and {p.latency_s * 1e9:.0f} ns more: cold bytes"
        )
        return replace(deployment, memory=pooled).noted(self.name, words)

    def control(self, p: MemoryPoolParams) -> MemoryPoolParams:
        """Nothing is pooled."""
        return p.model_copy(update={"poolable_share": 0.0, "live_share": 0.0})
