"""The fleet bench: a deployment and a workload in, usage by component and resource out.

operator tables -> effects of the deployment's fields -> room for keys and values -> simulation -> charges
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from deltastack.errors import CapacityError, ParamsError
from deltastack.fleet import capacity, endless, full_load, memory
from deltastack.fleet.accounting import component_usage
from deltastack.fleet.accounting.run_account import Account
from deltastack.fleet.deployment import BOARDS_OWN, Schedule
from deltastack.fleet.effects import arithmetic, memory_pool, placement, schedule, sleep
from deltastack.fleet.effects.split import best, ways
from deltastack.fleet.operators import tables_for
from deltastack.fleet.serving import Server, narrowed
from deltastack.fleet.simulator import Config
from deltastack.model import OperatingPoint, Usage

if TYPE_CHECKING:
    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.full_load import Offered
    from deltastack.fleet.load_samples import LoadSamples
    from deltastack.fleet.operators import OperatorTables
    from deltastack.fleet.serving import Simulated
    from deltastack.fleet.settings import FleetParams, Settings
    from deltastack.fleet.simulator import Requests, Result

SPLIT = "attention_ffn"
"""Under which a deployment notes the split that was chosen for it."""
SPLIT_SHARE = 4
"""One in so many of a sample's requests, with one seed of arrivals, is offered to every split."""
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
    def server(self) -> Server:
        """What of this decides when requests end."""
        return Server(
            tables=self.tables,
            config=self.config,
            deployment=narrowed(self.deployment),
            room_bytes=self.config.kv_capacity_tokens * self.tables.kv_bytes_per_token * self.tables.tensor_parallel,
            sleep_tradeoff=self.sleep_tradeoff if sleep.sleeps(self.deployment.encoder) else None,
        )


def prepare(deployment: Deployment, requests: Requests, platform: Platform, values: FleetParams) -> Prepared:
    """Tables and requests as the deployment changes them, and how its replicas schedule.

    Raises:
        UnknownNameError: No operator times for the model on the platform.
        CapacityError: The model does not fit.
        OutOfValidityError: A field for which there is no model; sleep that saves more than there is.
        ParamsError: A word that no field knows.
    """
    _known_words(deployment)
    if deployment.batching.token_budget == BOARDS_OWN:
        budget = max(platform.token_budget, deployment.batching.max_sequences)
        deployment = replace(deployment, batching=replace(deployment.batching, token_budget=budget))
    if deployment.schedule.search is not None:
        deployment = _split(deployment, requests, platform, values)
    tables = tables_for(deployment.model, platform, deployment.precision, deployment.tensor_parallel)
    tables = schedule.tables(arithmetic.tables(tables, deployment, platform), deployment, platform)
    tables = placement.tables(tables, deployment)
    inside = memory.residents(tables, platform, deployment, values.memory)
    batching, encoder, scaling = deployment.batching, deployment.encoder, deployment.autoscaling
    config = Config(
        replicas=deployment.replicas,
        router=deployment.router,
        pack_tokens=deployment.pack_tokens,
        sleep_timeout_s=scaling.timeout_s,
        cold_start_s=scaling.cold_start_s,
        token_budget=batching.token_budget,
        max_sequences=batching.max_sequences,
        encoder_budget=batching.encoder_budget,
        policy=batching.policy,
        kv_policy=batching.kv_policy,
        kv_capacity_tokens=int(memory_pool.room(inside.kv, deployment, platform) // tables.kv_bytes_per_token),
        host_step_s=deployment.host_step_s,
        host_sequence_s=deployment.host_sequence_s,
        host_visual_token_s=deployment.host_visual_token_s,
        encoder_pool=encoder.pool_size if encoder.placement == "pool" else 0,
    )
    return Prepared(
        deployment=deployment,
        platform=platform,
        tables=tables,
        requests=requests,
        config=config,
        residents=inside,
        sleep_tradeoff=sleep.stakes(encoder, values.power, platform),
    )


def _split(deployment: Deployment, requests: Requests, platform: Platform, values: FleetParams) -> Deployment:
    """The split of attention and feed-forward with the largest goodput; the same accelerators together set the goals.

    Splits differ by far more than samples do, so one sample of a quarter of the requests tells them apart; the search for the
    rate of one begins at that of the one before.
    """
    tables = tables_for(deployment.model, platform, deployment.precision, deployment.tensor_parallel)
    together = prepare(replace(deployment, schedule=Schedule()), requests, platform, values)
    how = values.capacity.of_fleet(deployment.replicas)
    few = how.model_copy(update={"requests": max(how.requests // SPLIT_SHARE, 1), "arrivals": 1})
    load = full_load.offered(requests, values.goals, few, together.server).load

    near = capacity.ANYWHERE

    def rate_per_s(split: Deployment) -> float:
        nonlocal near
        try:
            found = full_load.places(load, prepare(split, requests, platform, values).server.result, near)
        except CapacityError:
            return 0.0
        near = found._replace(pilot=None)
        return capacity.rate_per_s(found.full)

    found = ways(arithmetic.tables(tables, deployment, platform), deployment)
    chosen = best(found, rate_per_s)
    quickest = min(found, key=lambda w: w.step_s)
    words = (
        f"{chosen.attention} attention and {chosen.ffn} feed-forward accelerators, of {len(found)} splits the one that serves "
        f"the largest rate within the goals; a decode step alone is quickest with {quickest.attention} and {quickest.ffn}"
    )
    return chosen.deployment.noted(SPLIT, words)


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
        if SPLIT in self.account.deployment.notes:
            found[SPLIT] = self.account.deployment.notes[SPLIT]
        if self.account.deployment.arithmetic.exponential_saving:
            found["softmax_approx"] = arithmetic.ceiling_words(self.account)
        if self.account.deployment.autoscaling.policy == "demand":
            share = self.result.asleep_s / (self.result.span_s * self.account.deployment.replicas)
            found["replica_sleep"] = f"replicas slept {share:.1%} of the time and started cold {self.result.cold_starts:,} times"
        return found | ({"memory_pool": pool.words()} if pool else {})


def run(
    deployment: Deployment, requests: Requests, platform: Platform, settings: Settings, given: Offered | None = None
) -> dict[OperatingPoint, Usage]:
    """Usage per request at today's load (the trace's own arrivals) and at full load (the goodput).

    Where no rate meets the goals, the amounts at full load are missing and say why. Nothing holds the trace's own arrivals to
    the goals: what they miss stands in ``Usage.missed``.

    Args:
        deployment: What serves.
        requests: The workload.
        platform: The accelerator that the deployment names.
        settings: One draw of params/fleet.yaml.
        given: What it is offered; None: what the deployment of ``settings`` on ``platform`` sets the goals for.

    Raises:
        DeltastackError: As ``prepare``; requests that never fit; a technique outside its validity.
    """
    if given is None:
        given = offered(prepare(settings.values.deployment.deployment(), requests, platform, settings.values), settings)
    ready = prepare(deployment, requests, platform, settings.values)
    server = ready.server
    first = _charged(ready, settings, given.at_trace(server), words=False)
    late = given.trace.misses(first.result)
    found = {OperatingPoint.AT_TRACE: replace(first.usage, missed=tuple(late))}
    try:
        found[OperatingPoint.AT_CAPACITY] = _charged(
            ready, settings, given.full(server), first.account.memory_pool, words=False
        ).usage
    except CapacityError as error:
        found[OperatingPoint.AT_CAPACITY] = _unknown(found[OperatingPoint.AT_TRACE], str(error))
    return found


def observe(ready: Prepared, requests: Requests, settings: Settings, rate_per_s: float | None = None) -> Run:
    """Serve ``requests`` and charge what it takes, per request.

    Args:
        ready: What serves.
        requests: The requests.
        settings: One draw of params/fleet.yaml.
        rate_per_s: At which they come as a piece of a stream without an end; None: the run ends with them.

    Raises:
        CapacityError: Requests that never fit.
        OutOfValidityError: Sleeping encoders in a closed loop; a tier or a pool outside its validity.
    """
    return _charged(ready, settings, ready.server.simulated(requests, rate_per_s))


def _charged(
    ready: Prepared, settings: Settings, simulated: Simulated, pooled: memory_pool.Pool | None = None, *, words: bool = True
) -> Run:
    """What a simulation takes, per request.

    Args:
        ready: What served.
        settings: One draw of params/fleet.yaml.
        simulated: What it served, and how.
        pooled: What a pool of memory saves, where it was seen elsewhere; None: it is seen in this run.
        words: Whether ``Run.words`` is wanted.
    """
    requests, (result, pool, tier), rate_per_s = simulated
    if rate_per_s is not None:
        result, pool = _endless(ready, result, pool, requests.arrival_s.size / rate_per_s)
    account = Account(
        deployment=ready.deployment,
        platform=ready.platform,
        tables=ready.tables,
        residents=ready.residents,
        result=result,
        pool=pool,
        settings=settings,
        tier=tier,
        memory_pool=pooled or memory_pool.seen(tier, result, ready.deployment, interval=words),
    )
    return Run(
        usage=component_usage.usage(account, requests.arrival_s.size),
        requests=requests,
        result=result,
        account=account,
    )


def offered(reference: Prepared, settings: Settings) -> Offered:
    """What ``full_load.offered`` makes of the requests, ``reference`` setting their goals.

    Raises:
        CapacityError: Requests that never fit.
    """
    values = settings.values
    how = values.capacity.of_fleet(reference.config.replicas)
    return full_load.offered(reference.requests, values.goals, how, reference.server)


def at_capacity(
    ready: Prepared, settings: Settings, load: LoadSamples | None = None, pooled: memory_pool.Pool | None = None
) -> Run:
    """The run at the goodput; what memory pools save is that of ``pooled``, at the trace's arrivals.

    Poisson arrivals have no day: replicas would look independent of each other, and a pool would look better than it is.

    Args:
        ready: What serves.
        settings: One draw of params/fleet.yaml.
        load: What is offered; None: samples of its own requests, for which it sets the goals itself.
        pooled: As ``observe``.

    Raises:
        CapacityError: No rate meets the goals.
    """
    if load is None:
        load = offered(ready, settings).load
    return at_rate(ready, settings, load, goodput(ready, load), pooled)


def at_rate(
    ready: Prepared, settings: Settings, load: LoadSamples, rate_per_s: float, pooled: memory_pool.Pool | None = None
) -> Run:
    """The first sample of ``load`` as a piece of an endless stream at ``rate_per_s``."""
    return _charged(ready, settings, full_load.at_rate(load, ready.server, rate_per_s), pooled)


def goodput(ready: Prepared, load: LoadSamples) -> float:
    """The largest rate [requests/s] at which enough requests of ``load`` meet their goals.

    Raises:
        CapacityError: No rate meets them, or what a tier carries does not.
    """
    return full_load.goodput(load, ready.server.result)


def served(ready: Prepared, requests: Requests) -> Result:
    """The simulation alone, restores of a tier included.

    Raises:
        OutOfValidityError: A tier that has to carry more than it can.
    """
    return ready.server.result(requests)


def _endless(ready: Prepared, result: Result, pool: sleep.Pool | None, period_s: float) -> tuple[Result, sleep.Pool | None]:
    """Both as pieces of a stream without an end."""
    encoder = ready.deployment.encoder
    result = endless.result(result, ready.config.replicas, period_s)
    return result, endless.pool(pool, encoders=encoder.pool_size, wake_s=encoder.wake_s, span_s=result.span_s)


def _unknown(like: Usage, reason: str) -> Usage:
    """A usage whose every amount is missing for one reason."""
    return Usage(readings=tuple(r._replace(amount=None, reason=reason) for r in like))
