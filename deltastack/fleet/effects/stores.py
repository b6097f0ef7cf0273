"""What storage is charged: host memory, the pool, drives, their wear, and the bytes that move.

    host byte_s   = replicas host_bytes span                         x memory_factor of a pool
    host money    = replicas host_bytes span price                   x cost_factor of a pool
    drive money   = replicas drive_bytes (1 + spare_share) span price
    wear money    = bytes programmed x drive price over its life / flash_cycles       programmed = written x write amplification
    io bytes      = weights loaded (read amplification of the file's layout) + restored from a tier + programmed or written
    loading time  = seconds of one load x loads, during which an accelerator waits

Weights are loaded once every reload period. What an accelerator's price includes of host memory and drives is taken out there
(``in_price_usd_per_s``), so that nothing is paid twice and the whole adds up to the price while nothing is changed.

Source: this project, decision 0004. Assumes: a drive that is worn out is replaced at the price of the day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deltastack.fleet.effects import flash
from deltastack.fleet.operators.shapes import tensor_bytes
from deltastack.model import Component, Resource

if TYPE_CHECKING:
    from deltastack.fleet.effects.charges import Account
    from deltastack.fleet.settings import Prices

_HOST, _DRIVE, _CYCLES = "prices.host_memory_usd_per_byte_s", "prices.drive_usd_per_byte_s", "prices.flash_cycles"
_RELOAD = "traffic.reload_period_s"


class Amount(NamedTuple):
    """An amount of the whole run, and the ranged parameters that it rests on."""

    component: Component
    resource: Resource
    amount: float
    knows: tuple[str, ...]


class Loads(NamedTuple):
    """Loading the weights, over the whole run and all replicas."""

    read_bytes: float
    wait_s: float
    """Accelerator-seconds."""


def amounts(account: Account) -> list[Amount]:
    """Everything that storage is charged but the loads of weights."""
    prices, storage = account.settings.values.prices, account.deployment.storage
    pool, host = account.memory_pool, host_byte_s(account)
    found = [
        Amount(Component.STORAGE, Resource.MEMORY_BYTE_S, host * (pool.memory_factor if pool else 1.0), ()),
        Amount(
            Component.STORAGE,
            Resource.COST_USD,
            host * (pool.cost_factor if pool else 1.0) * prices.host_memory_usd_per_byte_s,
            (_HOST,),
        ),
    ]
    own = storage.drive_bytes * (1 + storage.spare_share) * account.deployment.replicas * account.result.span_s
    flash_byte_s = own + (account.pool_s + account.ffn_pool_s) * prices.flash_bytes_in_price
    if flash_byte_s:
        found.append(Amount(Component.STORAGE, Resource.COST_USD, flash_byte_s * prices.drive_usd_per_byte_s, (_DRIVE,)))
    return found + _tier(account)


def host_byte_s(account: Account) -> float:
    """Host memory of replicas over time, each with its own [byte s]; accelerators of a pool have what their price includes."""
    replicas = account.result.span_s * account.deployment.replicas * account.deployment.memory.host_bytes_per_replica
    return replicas + (account.pool_s + account.ffn_pool_s) * account.settings.values.prices.host_bytes_in_price


def in_price_usd_per_s(prices: Prices) -> float:
    """What an accelerator's price includes of host memory and drives [USD/s]."""
    host = prices.host_bytes_in_price * prices.host_memory_usd_per_byte_s
    return host + prices.flash_bytes_in_price * prices.drive_usd_per_byte_s


def loads(account: Account, weight_bytes: float) -> Loads:
    """Loading ``weight_bytes`` (all replicas) once every reload period; without a drive the bytes alone, and nobody waits.

    Raises:
        UnknownNameError: No shapes of the model.
    """
    times = account.result.span_s / account.settings.values.traffic.reload_period_s
    storage = account.deployment.storage
    if not storage.drive_bytes:
        return Loads(weight_bytes * times, 0.0)
    once = flash.loading(storage, account.tables.model)
    files = weight_bytes / sum(tensor_bytes(account.tables.model))
    return Loads(once.read_bytes * files * times, once.seconds * files * times)


def _tier(account: Account) -> list[Amount]:
    """Bytes restored and written, and the wear of the flash that they are written to."""
    tier, deployment, prices = account.tier, account.deployment, account.settings.values.prices
    if tier is None:
        return []
    on_flash = deployment.kv_tier.medium == "flash"
    moved = tier.written_bytes * (deployment.storage.write_amplification if on_flash else 1.0)
    restored = float(tier.restored_bytes.sum())
    found = [Amount(Component.STORAGE, Resource.IO_BYTE, restored + moved, ())]
    if on_flash:
        life = prices.drive_usd_per_byte_s * prices.drive_life_s / prices.flash_cycles
        found.append(Amount(Component.STORAGE, Resource.COST_USD, moved * life, (_DRIVE, _CYCLES)))
    return found
