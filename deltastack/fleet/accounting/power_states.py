"""The states that accelerators are in while a run is served, how long, and what each draws without its node.

    busy        power.busy_w of the run's load
    waiting     power.idle_w, while the host decodes and resizes images
    idle        power.idle_w of an accelerator whose process lives
    asleep      power.idle_w of the state that sleep leaves: as idle while the context stays, less once the process has ended
    waking      a share of the board limit

Times of all states sum to the time of all accelerators that are there; what was given back is in none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deltastack.fleet.accounting.utilization import load_of
from deltastack.fleet.effects import schedule
from deltastack.model import Component

if TYPE_CHECKING:
    from deltastack.fleet.accounting.run_account import Account
    from deltastack.fleet.effects import sleep

BUSY = ("power.busy_base", "power.busy_decode_attention", "power.busy_compute")


class Line(NamedTuple):
    """Accelerators in one state: their time, and the power of each without its node."""

    component: Component
    time_s: float
    accelerator_w: float
    knows: tuple[str, ...]
    """The ranged parameters that the power rests on."""


def lines(account: Account) -> list[Line]:
    """Every state that accelerators were in while they served; their times sum to ``replica_s + ffn_pool_s + pool_s``."""
    values, result, pool = account.settings.values, account.result, account.pool
    power, board_w = values.power, account.platform.board_w
    peak = account.platform.peak(account.deployment.precision)
    beside = schedule.accelerators_per_replica(account.deployment) / account.deployment.tensor_parallel - 1
    load = load_of(result, account.tables, peak_flop_per_s=peak, inline=pool is None, beside=beside)
    busy_w, knows = power.busy_w(load, board_w=board_w), BUSY
    parts = {
        Component.ENCODER: 0.0 if pool else result.encoder_s,
        Component.ATTENTION: result.attention_s,
        Component.FFN: result.ffn_s,
        Component.OTHER: result.other_s,
        Component.HOST: result.host_s - result.image_host_s,
        Component.IDLE: result.idle_s - result.asleep_s - result.waking_s,
    }
    held = schedule.occupied(account.deployment, parts)
    idle = Line(Component.IDLE, held.pop(Component.IDLE), account.idle_w, power.idle_knows(account.platform))
    found = [*(Line(c, s, busy_w, knows) for c, s in held.items() if s > 0 or c is not Component.ENCODER), idle]
    if result.image_host_s > 0:
        waits_s = schedule.accelerators_per_replica(account.deployment) * result.image_host_s
        found.append(Line(Component.HOST, waits_s, account.idle_w, power.idle_knows(account.platform)))
    found += _sleep_lines(account)
    return found + (_pool_lines(account, pool) if pool else [])


def _sleep_lines(account: Account) -> list[Line]:
    """Replicas asleep or waking; nobody is charged for what was given back."""
    result, scaling = account.result, account.deployment.autoscaling
    wide = schedule.accelerators_per_replica(account.deployment)
    if scaling.policy == "fixed":
        return []
    power, here = account.settings.values.power, account.platform
    found = [Line(Component.IDLE, result.waking_s * wide, scaling.cold_start_share * here.board_w, ())]
    if not scaling.released:
        asleep_w = power.idle_w(here, scaling.sleep_state)
        found.append(Line(Component.IDLE, result.asleep_s * wide, asleep_w, power.idle_knows(here)))
    return found


def _pool_lines(account: Account, pool: sleep.Pool) -> list[Line]:
    power, encoder, board_w = account.settings.values.power, account.deployment.encoder, account.platform.board_w
    knows = power.idle_knows(account.platform)
    found = [
        Line(Component.ENCODER, pool.busy_s, power.encoder_w(board_w=board_w), ("power.encoder_share",)),
        Line(Component.IDLE, pool.idle_s, account.idle_w, knows),
    ]
    if encoder.sleep_policy != "always_on":
        found.append(Line(Component.IDLE, pool.asleep_s, account.idle_w - account.sleep_tradeoff.saved_w, knows))
        found.append(Line(Component.IDLE, pool.wakes * encoder.wake_s, encoder.wake_share * board_w, ()))
    return found
