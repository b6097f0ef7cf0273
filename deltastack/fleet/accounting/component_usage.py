"""What a simulated run is charged, by component: accelerator time, energy, memory, bytes, money, carbon.

    energy_j        = sum over lines of (accelerator_w + node_w) time_s
    memory_byte_s   = provisioned bytes x time: weights by who reads them, keys in use under attention, unused under idle
    io_byte         = weights loaded once every reload period, and what a tier on flash moves (``stores``)
    cost_usd        = (accelerator rate + maker_usd / life) x time_s + host memory and drives (``stores``)
    carbon_g        = energy x PUE x grid + embodied / lifetime x time_s

What another package changes of the cost to make an accelerator is passed on at cost, over its life; the hourly price, which holds
memory, node, margin and power besides, does not scale with it. Bits of memory and between dies take energy beside the lines'
where the package is not the one that is sold (``packaging``). Host memory and drives are part of an accelerator's price; their
part is taken out there and charged under storage, so that all add up to the price as long as nothing is changed. All amounts
are of the whole run; ``bench`` divides by its requests.

Source: this project, decision 0004. Assumes: the node's power is drawn whether its accelerators work or not.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from deltastack.fleet.accounting import storage_cost
from deltastack.fleet.accounting.power_states import Line, lines
from deltastack.fleet.effects import packaging, schedule, weights
from deltastack.fleet.operators import LINEAR_COMPONENTS, Source
from deltastack.fleet.power import carried
from deltastack.model import Component, Evidence, Reading, Resource, Usage, weakest

if TYPE_CHECKING:
    from deltastack.fleet.accounting.run_account import Account
    from deltastack.fleet.operators import OperatorTables

MAKER = ("carbon.embodied_g_per_accelerator", "carbon.lifetime_s")
PRICE = ("prices.accelerator_usd_per_s", "prices.host_memory_usd_per_byte_s", "prices.drive_usd_per_byte_s")
"""An accelerator's price without what it includes of host memory and drives."""


class Charge(NamedTuple):
    """An amount before it is summed into a reading."""

    component: Component
    resource: Resource
    amount: float
    evidence: Evidence


def usage(account: Account, requests: int) -> Usage:
    """Amounts per request, by component and resource.

    Args:
        account: The run.
        requests: How many it served.
    """
    found = [*_time_and_energy(account), *_memory(account), *_bytes(account), *_stores(account)]
    found += [*_money(account, found), *_carbon(account, found)]
    readings, unpriced = [], _unpriced(account)
    for resource in Resource:
        for component in Component:
            mine = [c for c in found if (c.component, c.resource) == (component, resource)]
            if mine:
                reason = unpriced if resource is Resource.COST_USD else None
                amount = None if reason else sum(c.amount for c in mine) / requests
                readings.append(Reading(component, resource, amount, weakest(c.evidence for c in mine), reason))
    return Usage(readings=tuple(readings))


def _unpriced(account: Account) -> str | None:
    """Why money is missing; None where the price is that of the accelerator."""
    here, priced = account.platform.name, account.settings.values.prices.platform
    if here == priced:
        return None
    return (
        f"no price of {here}: prices in params/fleet.yaml are of {priced}; put its own there, and its name into prices.platform"
    )


def _time_and_energy(account: Account) -> list[Charge]:
    power = account.settings.values.power
    node_w, found = power.node_w, []
    waiting = Line(Component.STORAGE, _loads(account).wait_s, account.idle_w, power.idle_knows(account.platform))
    for line in [*lines(account), waiting]:
        if line is waiting and not waiting.time_s:
            continue
        found.append(Charge(line.component, Resource.TIME_S, line.time_s, _evidence(account)))
        joules = (line.accelerator_w + node_w) * line.time_s
        found.append(Charge(line.component, Resource.ENERGY_J, joules, _evidence(account, *line.knows, "power.node_w")))
    moved = packaging.energy_j(account.result, account.tables, account.deployment)
    return found + [Charge(c, Resource.ENERGY_J, joules, Evidence.ASSUMED) for c, joules in moved.items() if joules]


def _memory(account: Account) -> list[Charge]:
    inside, result, seconds = account.residents, account.result, account.replica_s
    used = result.kv_token_s * account.tables.kv_bytes_per_token * account.deployment.tensor_parallel
    plain = _evidence(account)
    guessed = _evidence(account, "memory.activation_bytes_per_element")
    held = [(c, inside.weights * share * seconds, plain) for c, share in _weight_shares(account.tables).items()]
    held += [
        (Component.ATTENTION, used, plain),
        (Component.OTHER, inside.workspace * seconds, guessed),
        (Component.IDLE, (inside.kv + inside.unused) * seconds - used, guessed),
    ]
    if inside.encoder:
        held.append((Component.ENCODER, inside.encoder * seconds, _evidence(account, "memory.encoder_activation_bytes")))
    if account.ffn_pool_s:
        apart = weights.feed_forward_apart(account.tables)
        held.append((Component.FFN, apart * account.ffn_pool_s, plain))
        held.append((Component.IDLE, (account.platform.memory_bytes - apart) * account.ffn_pool_s, plain))
    if account.pool:
        encoder = account.tables.encoder_weight_bytes + account.settings.values.memory.encoder_activation_bytes
        known = _evidence(account, "memory.encoder_activation_bytes")
        held.append((Component.ENCODER, encoder * account.pool_s, known))
        held.append((Component.IDLE, (account.platform.memory_bytes - encoder) * account.pool_s, known))
    return [Charge(c, Resource.MEMORY_BYTE_S, amount, evidence) for c, amount, evidence in held]


def _bytes(account: Account) -> list[Charge]:
    read = _loads(account).read_bytes
    return [Charge(Component.STORAGE, Resource.IO_BYTE, read, _evidence(account, "traffic.reload_period_s"))]


def _loads(account: Account) -> storage_cost.Loads:
    """Loads of the weights on every accelerator."""
    deployment, encoder = account.deployment, account.tables.encoder_weight_bytes
    beside = schedule.accelerators_per_replica(deployment) - deployment.tensor_parallel
    replica = (account.tables.weight_bytes + (encoder if account.residents.encoder else 0.0)) * deployment.tensor_parallel
    replica += weights.feed_forward_apart(account.tables) * beside if beside else 0.0
    pool = encoder * deployment.encoder.pool_size if account.pool else 0.0
    woken = encoder * account.pool.wakes if account.pool and deployment.encoder.reloads else 0.0
    started = replica * account.result.cold_starts + woken
    return storage_cost.loads(account, weight_bytes=replica * deployment.replicas + pool, started_bytes=started)


def _stores(account: Account) -> list[Charge]:
    return [Charge(a.component, a.resource, a.amount, _evidence(account, *a.knows)) for a in storage_cost.amounts(account)]


def _money(account: Account, found: list[Charge]) -> list[Charge]:
    prices = account.settings.values.prices
    made = account.deployment.packaging.maker_usd
    rate = prices.accelerator_usd_per_s - storage_cost.in_price_usd_per_s(prices) + made / prices.accelerator_life_s
    knows = PRICE + (("prices.accelerator_life_s",) if made else ())
    return [
        Charge(c.component, Resource.COST_USD, c.amount * rate, _evidence(account, *knows))
        for c in found
        if c.resource is Resource.TIME_S
    ]


def _carbon(account: Account, found: list[Charge]) -> list[Charge]:
    carbon = account.settings.values.carbon
    rates = {
        Resource.ENERGY_J: (carbon.pue * carbon.grid_g_per_j, ("carbon.pue", "carbon.grid_g_per_j")),
        Resource.TIME_S: (carbon.embodied_g_per_accelerator / carbon.lifetime_s, MAKER),
    }
    return [
        Charge(c.component, Resource.CARBON_G, c.amount * rate, weakest([c.evidence, _evidence(account, *knows)]))
        for c in found
        for resource, (rate, knows) in rates.items()
        if c.resource is resource
    ]


def _weight_shares(tables: OperatorTables) -> dict[Component, float]:
    """Shares of the weights by component: of one token's matrix products, which take as long as their weights are large."""
    read_s = tables.linear_gemm_s[:, 0].copy()
    read_s[LINEAR_COMPONENTS.index(Component.OTHER)] += tables.logits_s[0]
    return {c: float(s / read_s.sum()) for c, s in zip(LINEAR_COMPONENTS, read_s, strict=True)}


def _evidence(account: Account, *names: str) -> Evidence:
    """The weakest of the operator times and the named parameters; power and hardware of another board are assumed."""
    known = account.settings.evidence
    guessed = _roofline(account.tables) or (
        any(n.startswith(("power.", "carbon.embodied")) for n in names) and carried(account.platform.board_w)
    )
    return weakest([Evidence.ASSUMED if guessed else Evidence.SIMULATED, *(known[n] for n in names if n in known)])


@lru_cache(maxsize=64)
def _roofline(tables: OperatorTables) -> bool:
    """Whether some operator time is a bound and nobody's measurement."""
    return any(bool((codes == Source.ROOFLINE).any()) for codes in tables.sources.values())
