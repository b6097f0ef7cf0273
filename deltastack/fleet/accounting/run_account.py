"""One simulated run, and everything that says what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltastack.fleet.effects import schedule, sleep

if TYPE_CHECKING:
    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.effects import memory_pool
    from deltastack.fleet.effects.kv_tier import Tier
    from deltastack.fleet.memory import Residents
    from deltastack.fleet.operators import OperatorTables
    from deltastack.fleet.settings import Settings
    from deltastack.fleet.simulator import Result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Account:
    """One run, and everything that says what it costs."""

    deployment: Deployment
    platform: Platform
    tables: OperatorTables
    residents: Residents
    result: Result
    pool: sleep.Pool | None
    """What encoders of their own did; None where the encoder is inline."""
    settings: Settings
    tier: Tier | None = None
    """What a tier of keys and values restored and took."""
    memory_pool: memory_pool.Pool | None = None
    """What a pool makes of the replicas' host memory."""

    @property
    def idle_w(self) -> float:
        """Power of an accelerator with nothing to do and its process alive."""
        return self.settings.values.power.idle_w(self.platform)

    @property
    def sleep_tradeoff(self) -> sleep.SleepTradeoff:
        """What sleep of an encoder saves, and waking it costs."""
        return sleep.stakes(self.deployment.encoder, self.settings.values.power, self.platform)

    @property
    def replica_s(self) -> float:
        """Accelerator-seconds of the replicas that are there, a feed-forward pool apart."""
        return self.active_s * self.deployment.tensor_parallel

    @property
    def active_s(self) -> float:
        """Replica-seconds: one that sleeps may have been given back."""
        gone_s = self.result.asleep_s if self.deployment.autoscaling.released else 0.0
        return self.result.span_s * self.deployment.replicas - gone_s

    @property
    def ffn_pool_s(self) -> float:
        """Accelerator-seconds of the feed-forward pool; 0 where feed-forward runs on the replicas."""
        per_replica = schedule.accelerators_per_replica(self.deployment) - self.deployment.tensor_parallel
        return self.active_s * per_replica

    @property
    def pool_s(self) -> float:
        """Accelerator-seconds of the encoder pool."""
        return self.result.span_s * self.deployment.encoder.pool_size if self.pool else 0.0
