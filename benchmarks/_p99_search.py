"""The search that the goodput replaced, as a peer: bisection on a 99th percentile over independently drawn requests."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np

from deltastack.fleet.simulator import tpot_s, ttft_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from deltastack.fleet.simulator import Requests, Result

REQUESTS, WIDEN, TOLERANCE = 8000, 1.5, 0.002
TTFT_P99_S, TPOT_MEAN_S = 3.0, 0.040


def largest(requests: Requests, serve: Callable[[Requests], Result], *, seed: int) -> float:
    """The largest rate [requests/s] with TTFT p99 <= 3 s and mean TPOT <= 40 ms, as the steps of this search find it."""
    random = np.random.default_rng(seed)
    rows = random.integers(0, requests.arrival_s.size, REQUESTS)
    arrival_s = np.cumsum(random.exponential(1.0, REQUESTS))
    drawn = {f.name: getattr(requests, f.name)[rows] for f in fields(requests)}
    drawn["arrival_s"] = arrival_s * REQUESTS / arrival_s[-1]

    def late(rate_per_s: float) -> bool:
        seen = replace(requests, **(drawn | {"arrival_s": drawn["arrival_s"] / rate_per_s}))
        result = serve(seen)
        return bool(np.percentile(ttft_s(result), 99) > TTFT_P99_S or tpot_s(result, seen).mean() > TPOT_MEAN_S)

    low = 1.0
    while late(low):
        low /= WIDEN
    high = low * WIDEN
    while not late(high):
        low, high = high, high * WIDEN
    while high > low * (1 + TOLERANCE):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if late(middle) else (middle, high)
    return low
