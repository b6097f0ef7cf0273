"""What storage is charged: host memory, the pool, drives, their wear, and the bytes that move.

    host byte_s   = host_bytes there                                 x memory_factor of a pool
    host money    = host_bytes there price                           x cost_factor of a pool
    drive money   = drive_bytes (1 + spare_share) there price
    wear money    = bytes programmed x drive price over its life / flash_cycles       programmed = written x write amplification
    io bytes      = weights loaded (read amplification of the file's layout) + restored from and programmed to a tier on flash
    loading time  = seconds of one load x loads, during which an accelerator waits

Bytes that a tier in host memory copies over the bus touch no drive, so they are no bytes of storage.
``there`` are replica-seconds; a replica that was given back takes its host memory and drive with it. Accelerators beside the
first of a replica, and those of pools, have the host memory and flash that their price includes.

Weights are loaded once every reload period, and whenever a replica starts cold or an encoder whose context was torn down wakes
(their time is that of waking). What an accelerator's price includes of host memory and drives is taken out there
(``in_price_usd_per_s``), so that nothing is paid twice and the whole adds up to the price while nothing is changed.

Source: this project, decision 0004. Assumes: a drive that is worn out is replaced at the price of the day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deltastack.fleet.effects import flash
from deltastack.fleet.operators.shapes import tensor_bytes
from deltastack.model import Component, Resource

if TYPE_CHECKING:
    from deltastack.fleet.accounting.run_account import Account
    from deltastack.fleet.settings import Prices

_HOST, _DRIVE, _CYCLES = "prices.host_memory_usd_per_byte_s", "prices.drive_usd_per_byte_s", "prices.flash_cycles"


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
    own = storage.drive_bytes * (1 + storage.spare_share) * account.active_s
    flash_byte_s = own + _others_s(account) * prices.flash_bytes_in_price
    if flash_byte_s:
        found.append(Amount(Component.STORAGE, Resource.COST_USD, flash_byte_s * prices.drive_usd_per_byte_s, (_DRIVE,)))
    return found + _tier(account)


def host_byte_s(account: Account) -> float:
    """Host memory over time [byte s]: of replicas, each with its own, and of all other accelerators."""
    replicas = account.active_s * account.deployment.memory.host_bytes_per_replica
    return replicas + _others_s(account) * account.settings.values.prices.host_bytes_in_price


def _others_s(account: Account) -> float:
    """Accelerator-seconds beside the first accelerator of every replica."""
    return account.replica_s - account.active_s + account.pool_s + account.ffn_pool_s


def in_price_usd_per_s(prices: Prices) -> float:
    """What an accelerator's price includes of host memory and drives [USD/s]."""
    host = prices.host_bytes_in_price * prices.host_memory_usd_per_byte_s
    return host + prices.flash_bytes_in_price * prices.drive_usd_per_byte_s


def loads(account: Account, *, weight_bytes: float, started_bytes: float) -> Loads:
    """Loading the weights, tensor by tensor; without a drive the bytes alone, and nobody waits.

    Args:
        account: The run.
        weight_bytes: Of all accelerators, loaded once every reload period.
        started_bytes: Loaded in the run by what started cold or woke.

    Raises:
        UnknownNameError: No shapes of the model.
    """
    times = account.result.span_s / account.settings.values.traffic.reload_period_s
    storage = account.deployment.storage
    if not storage.drive_bytes:
        return Loads(weight_bytes * times + started_bytes, 0.0)
    once = flash.loading(storage, account.tables.model)
    file_bytes = sum(tensor_bytes(account.tables.model))
    often = weight_bytes * times / file_bytes
    return Loads(once.read_bytes * (often + started_bytes / file_bytes), once.seconds * often)


def _tier(account: Account) -> list[Amount]:
    """Bytes restored from flash and programmed to it, and its wear; a tier in host memory moves no byte of storage."""
    tier, deployment, prices = account.tier, account.deployment, account.settings.values.prices
    if tier is None or deployment.kv_tier.medium != "flash":
        return []
    programmed = float(tier.written_bytes.sum()) * deployment.storage.write_amplification
    restored = float(tier.restored_bytes.sum())
    life = prices.drive_usd_per_byte_s * prices.drive_life_s / prices.flash_cycles
    return [
        Amount(Component.STORAGE, Resource.IO_BYTE, restored + programmed, ()),
        Amount(Component.STORAGE, Resource.COST_USD, programmed * life, (_DRIVE, _CYCLES)),
    ]
