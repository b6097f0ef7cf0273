"""What decides when requests end, and what it makes of them.

Of a deployment only what stands in ``Server`` reaches the simulation. So cells that differ in money, packages or drives alone
have equal servers, and are simulated once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack.fleet.deployment import Deployment, Encoder, KvTier, Memory, Storage
from deltastack.fleet.effects import encoder_pool, kv_tier, prefix_cache, sleep
from deltastack.fleet.simulator import simulate

if TYPE_CHECKING:
    from deltastack.fleet.operators import OperatorTables
    from deltastack.fleet.simulator import Config, Requests, Result


class Served(NamedTuple):
    """One simulation, with what a tier and encoders of their own did in it."""

    result: Result
    encoders: sleep.Pool | None
    """None where the encoder is inline."""
    tier: kv_tier.Tier | None


class Simulated(NamedTuple):
    """Requests, and what a server makes of them."""

    requests: Requests
    seen: Served
    rate_per_s: float | None = None
    """At which they come as a piece of a stream without an end; None: the run ends with its requests."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Server:
    """All that a simulation depends on, beside the requests."""

    tables: OperatorTables
    config: Config
    deployment: Deployment
    """With the fields alone that ``serve`` may read (``narrowed``)."""
    room_bytes: float
    """For keys and values in the accelerators of a replica."""
    sleep_tradeoff: sleep.SleepTradeoff | None
    """None where no encoder sleeps."""

    def simulated(self, requests: Requests, rate_per_s: float | None = None) -> Simulated:
        """The simulation with its requests, of which each keeps the prefix that its replica still has; as ``serve``."""
        requests = self.remembered(requests)
        return Simulated(requests, self._serve(requests), rate_per_s)

    def remembered(self, requests: Requests) -> Requests:
        """``requests`` with the prefixes alone that the replicas still have."""
        return prefix_cache.remembered(requests, self.config.kv_capacity_tokens, self.config.replicas)

    def serve(self, requests: Requests) -> Served:
        """The simulation, restores of a tier included.

        Raises:
            CapacityError: Requests that never fit.
            OutOfValidityError: Sleeping encoders in a closed loop; a tier that has to carry more than it can.
        """
        return self._serve(self.remembered(requests))

    def _serve(self, requests: Requests) -> Served:
        tier = kv_tier.tier(requests, self.deployment, self.tables, room_bytes=self.room_bytes)
        ready = encoder_pool.requests(kv_tier.restored(requests, tier), self.deployment)
        encoder = self.deployment.encoder
        if self.sleep_tradeoff is not None:
            seen, pool = sleep.served(self.tables, ready, self.config, encoder=encoder, sleep_tradeoff=self.sleep_tradeoff)
            result = simulate(self.tables, seen, replace(self.config, encoder_pool=0))
            return Served(result, sleep.until(pool, result.span_s, encoder=encoder, sleep_tradeoff=self.sleep_tradeoff), tier)
        result = simulate(self.tables, ready, self.config)
        if not self.config.encoder_pool:
            return Served(result, None, tier)
        return Served(result, sleep.Pool(result.encoder_s, result.encoder_idle_s, 0.0, 0, np.zeros(0)), tier)

    def result(self, requests: Requests) -> Result:
        """The simulation alone; as ``serve``."""
        return self.serve(requests).result

    @cached_property
    def key(self) -> str:
        """A hash of all fields; servers with equal ones serve equally."""
        digest = hashlib.sha256(repr((self.config, self.deployment, self.room_bytes, self.sleep_tradeoff)).encode())
        for one in fields(self.tables):
            value = getattr(self.tables, one.name)
            arrays = value.items() if isinstance(value, dict) else [("", value)]
            for name, array in arrays:
                digest.update(f"{one.name} {name} ".encode())
                plain = isinstance(array, np.ndarray)
                digest.update(np.ascontiguousarray(array).tobytes() if plain else repr(array).encode())
        return digest.hexdigest()


def narrowed(deployment: Deployment) -> Deployment:
    """``deployment`` with the fields alone that decide when requests end; the others as in one with nothing set.

    What a drive or host memory does matters where a tier lies on it, and an encoder's way where it has accelerators of its own.
    """
    tier = deployment.kv_tier
    return Deployment(
        model=deployment.model,
        platform=deployment.platform,
        replicas=deployment.replicas,
        kv_tier=tier,
        storage=deployment.storage if tier.medium == "flash" else Storage(),
        memory=deployment.memory if tier != KvTier() else Memory(),
        encoder=deployment.encoder if deployment.encoder.placement == "pool" else Encoder(),
    )
