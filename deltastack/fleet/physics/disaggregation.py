"""Attention and feed-forward on different accelerators: a closed loop of two stations.

m micro-batches circulate between an attention station (T_a), a link (T_c), a feed-forward station (T_e) and the link
back. Without noise the rate of layer passes is

    x(m) = min(1 / max(T_a, T_e), m / (T_a + T_e + 2 T_c))

so both stations are full from m >= (T_a + T_e + 2 T_c) / max(T_a, T_e), which is 2 (1 + T_c / T_f) if they are equal.
m = 1, T_c = 0 and T_a = T_e give one half of a station's rate: the negative control. With noise in the step times the
rate is lower; the event simulation says by how much, the formula is an upper bound.

Source: MegaScale-Infer, arXiv 2504.02263 (the condition on m; up to 1.90x per accelerator on mixtures of experts);
derived again here. Assumes: first in, first out stations, a link that never queues.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from deltastack.errors import OutOfValidityError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Stations:
    """Times [s] of one micro-batch at each station and on one hop of the link."""

    attention_s: float
    ffn_s: float
    hop_s: float

    def __post_init__(self) -> None:
        """Refuse times that cannot be.

        Raises:
            OutOfValidityError: A station without time, or a negative hop.
        """
        if min(self.attention_s, self.ffn_s) <= 0 or self.hop_s < 0:
            raise OutOfValidityError(f"stations take time and hops are not negative; found {self}")


def rate_per_s(stations: Stations, micro_batches: int) -> float:
    """Layer passes a second of ``micro_batches`` in the loop, without noise.

    Raises:
        OutOfValidityError: Fewer than one micro-batch.
    """
    if micro_batches < 1:
        raise OutOfValidityError(f"at least one micro-batch circulates, found {micro_batches}")
    full_s = max(stations.attention_s, stations.ffn_s)
    return min(1 / full_s, micro_batches / loop_s(stations))


def loop_s(stations: Stations) -> float:
    """Time of one micro-batch through both stations and both hops, alone."""
    return stations.attention_s + stations.ffn_s + 2 * stations.hop_s


def micro_batches_needed(stations: Stations) -> int:
    """Fewest micro-batches that keep the slower station full."""
    return math.ceil(loop_s(stations) / max(stations.attention_s, stations.ffn_s) - 1e-12)


def iteration_s(stations: Stations, micro_batches: int, layers: int) -> float:
    """Time [s] of one decode iteration of all micro-batches through ``layers``, without noise.

    T = (T_a + T_e + 2 T_c) + (m L - 1) / x(m): the first pass, then one at every beat.

    Raises:
        OutOfValidityError: Fewer than one micro-batch or layer.
    """
    if layers < 1:
        raise OutOfValidityError(f"a model has at least one layer, found {layers}")
    return loop_s(stations) + (micro_batches * layers - 1) / rate_per_s(stations, micro_batches)


def simulated_rate_per_s(
    stations: Stations, micro_batches: int, *, variation: float, passes: int = 20_000, seed: int = 0
) -> float:
    """Layer passes a second with gamma-distributed station times of coefficient ``variation``, by event simulation.

    Raises:
        OutOfValidityError: Fewer than one micro-batch, a negative variation, or too few passes to be steady.
    """
    rate_per_s(stations, micro_batches)
    if variation < 0 or passes < 100 * micro_batches:
        raise OutOfValidityError(f"variation={variation}, passes={passes}: at least 0, and at least 100 passes a micro-batch")
    noise = _noise(seed, variation, passes)
    attention_s, ffn_s = stations.attention_s * noise[0], stations.ffn_s * noise[1]
    done_s = _loop(attention_s, ffn_s, stations.hop_s, micro_batches)
    skip = passes // 10
    return (passes - 1 - skip) / float(done_s[-1] - done_s[skip])


@lru_cache(maxsize=2)
def _noise(seed: int, variation: float, count: int) -> NDArray[np.float64]:
    """Times of both stations (2, count) over their means; a search asks for the same again and again."""
    if variation == 0:
        return np.ones((2, count))
    shape = variation**-2
    return np.random.default_rng(seed).gamma(shape, 1 / shape, (2, count))


@njit(cache=True)
def _loop(
    attention_s: NDArray[np.float64], ffn_s: NDArray[np.float64], hop_s: float, micro_batches: int
) -> NDArray[np.float64]:  # pragma: no cover - compiled
    """Instant at which each pass is back at the attention station; micro-batches keep their order (FIFO stations)."""
    passes = attention_s.size
    back = np.zeros(passes)
    attention_free, ffn_free = 0.0, 0.0
    for i in range(passes):
        ready = back[i - micro_batches] if i >= micro_batches else 0.0
        attention_free = max(attention_free, ready) + attention_s[i]
        ffn_free = max(ffn_free, attention_free + hop_s) + ffn_s[i]
        back[i] = ffn_free + hop_s
    return back
