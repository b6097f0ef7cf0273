"""Encoders that sleep between images: what they draw, and how long images wait for them to wake.

    E_awake = P_i t        E_asleep = (P_i - P_saved) t + E_w        break-even T = E_w / P_saved
    P_saved = idle_w(context) - idle_w(sleep_state)        E_w = wake_share board_w wake_s

``timeout`` sleeps after T, so it never spends more than twice what foresight would; ``randomised`` draws its timeouts from
f(tau) = e^(tau/T) / (T (e - 1)) on 0..T, at most e/(e-1) = 1.58 times in the mean; ``oracle`` knows every gap.
An encoder on the language model's accelerators has no power of its own to save.

Source: Karlin, Manasse, McGeoch & Owicki, Algorithmica 11 (1994); break-even: Benini, Bogliolo & De Micheli, IEEE TVLSI 8
(2000).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack.errors import OutOfValidityError, ParamsError
from deltastack.fleet.simulator import encoders
from deltastack.fleet.simulator.grids import prepare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.deployment import Encoder
    from deltastack.fleet.operators import OperatorTables
    from deltastack.fleet.power import PowerModel
    from deltastack.fleet.simulator import Config, Requests

POLICIES = ("always_on", "timeout", "randomised", "oracle")
SEED = 20260101


class Pool(NamedTuple):
    """Encoder-seconds of a pool until its last image, and when each of its encoders falls free."""

    busy_s: float
    idle_s: float
    asleep_s: float
    wakes: int
    free_s: NDArray[np.float64]

    def words(self, sleep_tradeoff: SleepTradeoff) -> str:
        """What it did, in words."""
        active_s = self.busy_s + self.idle_s + self.asleep_s
        return (
            f"encoders slept {self.asleep_s / active_s:.1%} of the time and woke {self.wakes:,} times; asleep they save "
            f"{sleep_tradeoff.saved_w:.0f} W, which pays for waking after {sleep_tradeoff.timeout_s:.0f} s"
        )


class SleepTradeoff(NamedTuple):
    """What sleep saves and what waking costs, of one accelerator."""

    saved_w: float
    """Power below idle while asleep."""
    wake_j: float
    """Energy of one wake-up, all of it."""

    @property
    def timeout_s(self) -> float:
        """The gap in which one pays for the other."""
        return break_even_s(wake_j=self.wake_j, saved_w=self.saved_w)


def stakes(encoder: Encoder, power: PowerModel, platform: Platform) -> SleepTradeoff:
    """The stakes of ``encoder`` on accelerators of ``platform``; energy is charged from the same two figures.

    Raises:
        ParamsError: A state that nobody knows.
    """
    saved_w = power.idle_w(platform) - power.idle_w(platform, encoder.sleep_state)
    return SleepTradeoff(saved_w=saved_w, wake_j=encoder.wake_share * platform.board_w * encoder.wake_s)


def break_even_s(*, wake_j: float, saved_w: float) -> float:
    """Gap in which sleeping saves as much as waking costs; endless where sleep saves no power.

    >>> break_even_s(wake_j=8000.0, saved_w=50.0), break_even_s(wake_j=1.0, saved_w=0.0)
    (160.0, inf)
    """
    return wake_j / saved_w if saved_w > 0 else float("inf")


def sleeps(encoder: Encoder) -> bool:
    """Whether this encoder has accelerators of its own and a policy that ever lets them sleep.

    Raises:
        ParamsError: A policy that nobody knows.
    """
    if encoder.sleep_policy not in POLICIES:
        raise ParamsError(f"encoder.sleep_policy = {encoder.sleep_policy!r}, must be one of {', '.join(POLICIES)}")
    return encoder.placement == "pool" and encoder.sleep_policy != "always_on"


def served(
    tables: OperatorTables, requests: Requests, config: Config, *, encoder: Encoder, sleep_tradeoff: SleepTradeoff
) -> tuple[Requests, Pool]:
    """The requests as the replicas see them behind a pool that sleeps, and what the pool did.

    Each request's images are encoded already (``cached_images``) and it is ready when they are (``delay_s``).

    Args:
        tables: Operator times.
        requests: With arrivals.
        config: How many encoders there are.
        encoder: By which policy they sleep, and how long waking takes.
        sleep_tradeoff: What sleep saves and waking costs.

    Raises:
        OutOfValidityError: A closed loop: when requests come depends on what is simulated.
    """
    if config.clients:
        raise OutOfValidityError("encoders that sleep need a trace with arrivals; in a closed loop there are no gaps of its own")
    count = requests.arrival_s.size
    free_s, ready_s, spent = np.zeros(config.encoder_pool), np.empty(count), np.zeros(4)
    oracle = encoder.sleep_policy == "oracle"
    timeout_s = sleep_tradeoff.timeout_s
    encoders.serve(
        prepare(tables, config.token_budget, config.max_sequences),
        requests.arrival_s,
        requests.images - requests.cached_images,
        requests.image_tokens / np.maximum(requests.images, 1),
        np.full(count, np.inf) if oracle else _timeouts_s(encoder.sleep_policy, timeout_s, count),
        max(timeout_s, encoder.wake_s) if oracle else np.inf,
        encoder.wake_s,
        free_s,
        ready_s,
        spent,
    )
    delay_s = requests.delay_s + (ready_s - requests.arrival_s)
    busy_s, idle_s, asleep_s, wakes = (float(x) for x in spent)
    pool = Pool(busy_s, idle_s, asleep_s, int(wakes), free_s)
    return replace(requests, cached_images=requests.images, delay_s=delay_s), pool


def until(pool: Pool, span_s: float, *, encoder: Encoder, sleep_tradeoff: SleepTradeoff) -> Pool:
    """The same pool observed until ``span_s``: after its last image an encoder idles, and sleeps once its timeout has passed."""
    rest_s = np.maximum(span_s - pool.free_s, 0.0)
    awake_s = np.minimum(rest_s, 0.0 if encoder.sleep_policy == "oracle" else sleep_tradeoff.timeout_s)
    return pool._replace(idle_s=pool.idle_s + float(awake_s.sum()), asleep_s=pool.asleep_s + float((rest_s - awake_s).sum()))


def _timeouts_s(policy: str, timeout_s: float, count: int) -> NDArray[np.float64]:
    if policy == "timeout" or not np.isfinite(timeout_s):
        return np.full(count, timeout_s)
    uniform = np.random.default_rng(SEED).random(count)
    drawn: NDArray[np.float64] = timeout_s * np.log1p(uniform * (math.e - 1))
    return drawn
