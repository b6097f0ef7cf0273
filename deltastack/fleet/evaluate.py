"""The fleet bench: a deployment and a workload in, usage by component and resource out.

operator tables -> effects of the deployment's fields -> room for keys and values -> simulation -> charges
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack.errors import CapacityError, OutOfValidityError, ParamsError
from deltastack.fleet import capacity, memory
from deltastack.fleet.accounting import component_usage
from deltastack.fleet.accounting.run_account import Account
from deltastack.fleet.effects import arithmetic, encoder_pool, kv_tier, memory_pool, placement, schedule, sleep
from deltastack.fleet.operators import tables_for
from deltastack.fleet.simulator import Config, simulate
from deltastack.model import OperatingPoint, Usage

if TYPE_CHECKING:
    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.operators import OperatorTables
    from deltastack.fleet.settings import FleetParams, Settings
    from deltastack.fleet.simulator import Requests, Result

DEMAND_BINS = 288
"""Instants at which a pool sees the demand of its replicas: five minutes of a day."""
_WORDS = {"encoder.placement": ("inline", "pool"), "autoscaling.policy": ("fixed", "demand")}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """Everything that one simulation needs, effects applied; a tier's, which depend on the rate, when it is served."""

    deployment: Deployment
    platform: Platform
    tables: OperatorTables
    requests: Requests
    config: Config
    residents: memory.Residents
    sleep_tradeoff: sleep.SleepTradeoff
    """What sleep of an encoder saves, and waking it costs."""

    @property
    def room_bytes(self) -> float:
        """For keys and values in the accelerators of a replica."""
        return self.config.kv_capacity_tokens * self.tables.kv_bytes_per_token * self.tables.tensor_parallel


def prepare(deployment: Deployment, requests: Requests, platform: Platform, values: FleetParams) -> Prepared:
    """Tables and requests as the deployment changes them, and how its replicas schedule.

    Raises:
        UnknownNameError: No operator times for the model on the platform.
        CapacityError: The model does not fit.
        OutOfValidityError: A field for which there is no model; sleep that saves more than there is.
        ParamsError: A word that no field knows.
    """
    _known_words(deployment)
    tables = tables_for(deployment.model, platform, deployment.precision, deployment.tensor_parallel)
    tables = schedule.tables(arithmetic.tables(tables, deployment, platform), deployment, platform)
    tables = placement.tables(tables, deployment)
    inside = memory.residents(tables, platform, deployment, values.memory)
    batching, encoder, scaling = deployment.batching, deployment.encoder, deployment.autoscaling
    config = Config(
        replicas=deployment.replicas,
        router="packed" if scaling.policy == "demand" else deployment.router,
        pack_tokens=scaling.pack_tokens,
        sleep_timeout_s=scaling.timeout_s,
        cold_start_s=scaling.cold_start_s,
        token_budget=batching.token_budget,
        max_sequences=batching.max_sequences,
        policy=batching.policy,
        kv_policy=batching.kv_policy,
        kv_capacity_tokens=int(memory_pool.room(inside.kv, deployment, platform) // tables.kv_bytes_per_token),
        host_step_s=deployment.host_step_s,
        host_sequence_s=deployment.host_sequence_s,
        encoder_pool=encoder.pool_size if encoder.placement == "pool" else 0,
        kv_bins=DEMAND_BINS if deployment.memory.pooled_share else 0,
    )
    return Prepared(
        deployment=deployment,
        platform=platform,
        tables=tables,
        requests=requests,
        config=config,
        residents=inside,
        sleep_tradeoff=sleep.stakes(encoder, values.power, board_w=platform.board_w),
    )


def _known_words(deployment: Deployment) -> None:
    for name, allowed in _WORDS.items():
        group, key = name.split(".")
        found = getattr(getattr(deployment, group), key)
        if found not in allowed:
            raise ParamsError(f"{name} = {found!r}, must be one of {', '.join(allowed)}")
    if deployment.encoder.placement == "pool" and deployment.encoder.pool_size < 1:
        raise ParamsError("encoder.placement = 'pool' needs encoder.pool_size of at least 1")


class Run(NamedTuple):
    """One simulated run of a deployment, charged."""

    usage: Usage
    """Per request."""
    requests: Requests
    result: Result
    account: Account

    @property
    def rate_per_s(self) -> float:
        """Requests over the time from the first instant to the last finish."""
        return float(self.requests.arrival_s.size / self.result.span_s)

    def words(self) -> dict[str, str]:
        """What tiers, pools and sleeping encoders were seen to do, by technique."""
        tier, pool = self.account.tier, self.account.memory_pool
        found = {"kv_tier": tier.words(self.requests)} if tier else {}
        if self.account.pool and sleep.sleeps(self.account.deployment.encoder):
            found["encoder_sleep"] = self.account.pool.words(self.account.sleep_tradeoff)
        if self.account.deployment.autoscaling.policy == "demand":
            share = self.result.asleep_s / (self.result.span_s * self.account.deployment.replicas)
            found["replica_sleep"] = f"replicas slept {share:.1%} of the time and started cold {self.result.cold_starts:,} times"
        return found | ({"memory_pool": pool.words()} if pool else {})


def run(deployment: Deployment, requests: Requests, platform: Platform, settings: Settings) -> dict[OperatingPoint, Usage]:
    """Usage per request on both bases: at the trace's own arrivals, and at the largest rate that meets the latency goals.

    Where no rate meets the goals, the amounts at capacity are missing and say why. Nothing holds the trace's own arrivals to
    the goals: what they miss stands in ``Usage.missed``.

    Args:
        deployment: What serves.
        requests: The workload.
        platform: The accelerator that the deployment names.
        settings: One draw of params/fleet.yaml.

    Raises:
        DeltastackError: As ``prepare``; requests that never fit; a technique outside its validity.
    """
    ready = prepare(deployment, requests, platform, settings.values)
    first = observe(ready, ready.requests, settings)
    late = capacity.misses(first.result, first.requests, settings.values.goals)
    found = {OperatingPoint.AT_TRACE: replace(first.usage, missed=tuple(late))}
    try:
        found[OperatingPoint.AT_CAPACITY] = at_capacity(ready, settings, first.account.memory_pool).usage
    except CapacityError as error:
        found[OperatingPoint.AT_CAPACITY] = _unknown(found[OperatingPoint.AT_TRACE], str(error))
    return found


def observe(ready: Prepared, requests: Requests, settings: Settings, pooled: memory_pool.Pool | None = None) -> Run:
    """Serve ``requests`` and charge what it takes, per request.

    Args:
        ready: What serves.
        requests: The requests.
        settings: One draw of params/fleet.yaml.
        pooled: What a pool of memory saves, where it was seen elsewhere; None: it is seen in this run.

    Raises:
        CapacityError: Requests that never fit.
        OutOfValidityError: Sleeping encoders in a closed loop; a tier or a pool outside its validity.
    """
    tier = kv_tier.tier(requests, ready.deployment, ready.tables, room_bytes=ready.room_bytes)
    result, pool = _serve(ready, kv_tier.restored(requests, tier))
    account = Account(
        deployment=ready.deployment,
        platform=ready.platform,
        tables=ready.tables,
        residents=ready.residents,
        result=result,
        pool=pool,
        settings=settings,
        tier=tier,
        memory_pool=pooled or memory_pool.observe(result.kv_bins_tokens, ready.deployment),
    )
    return Run(
        usage=component_usage.usage(account, requests.arrival_s.size),
        requests=requests,
        result=result,
        account=account,
    )


def at_capacity(ready: Prepared, settings: Settings, pooled: memory_pool.Pool | None = None) -> Run:
    """The run at the largest rate that meets the goals; what memory pools save is that of ``pooled``, at the trace's arrivals.

    Poisson arrivals have no day: replicas would look independent of each other, and a pool would look better than it is.

    Raises:
        CapacityError: No rate meets them.
    """
    values = settings.values
    drawn = capacity.sample(ready.requests, values.capacity)
    searched = replace(ready, config=replace(ready.config, kv_bins=0))

    def missed(rate_per_s: float) -> list[str]:
        seen = capacity.at(drawn, rate_per_s)
        try:
            served = kv_tier.requests(seen, ready.deployment, ready.tables, room_bytes=ready.room_bytes)
        except OutOfValidityError as error:
            return [str(error)]
        return capacity.misses(_serve(searched, served)[0], seen, values.goals)

    rate_per_s = capacity.largest(missed, tolerance=values.capacity.tolerance)
    return observe(ready, capacity.at(drawn, rate_per_s), settings, pooled)


def _serve(ready: Prepared, requests: Requests) -> tuple[Result, sleep.Pool | None]:
    """The simulation, and what encoders of their own did."""
    encoder = ready.deployment.encoder
    requests = encoder_pool.requests(requests, ready.deployment)
    if sleep.sleeps(encoder):
        seen, pool = sleep.served(ready.tables, requests, ready.config, encoder=encoder, sleep_tradeoff=ready.sleep_tradeoff)
        result = simulate(ready.tables, seen, replace(ready.config, encoder_pool=0))
        return result, sleep.until(pool, result.span_s, encoder=encoder, sleep_tradeoff=ready.sleep_tradeoff)
    result = simulate(ready.tables, requests, ready.config)
    if not ready.config.encoder_pool:
        return result, None
    return result, sleep.Pool(result.encoder_s, result.encoder_idle_s, 0.0, 0, np.zeros(0))


def _unknown(like: Usage, reason: str) -> Usage:
    """A usage whose every amount is missing for one reason."""
    return Usage(readings=tuple(r._replace(amount=None, reason=reason) for r in like))
