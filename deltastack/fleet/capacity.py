"""The largest rate at which a deployment meets its latency goals, by bisection.

A seeded sample of the workload's requests comes as a Poisson stream; the same requests and the same exponential gaps,
scaled, are used at every rate and for every deployment, so that two deployments differ by nothing else. The whole
deployment serves (an encoder pool is shared by its replicas).
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import CapacityError
from deltastack.fleet.simulator import tpot_s, ttft_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from deltastack.fleet.settings import Capacity, Goals
    from deltastack.fleet.simulator import Requests, Result

LEAST_PER_S = 1e-3
"""Below one request in about 17 minutes nothing waits for anything else: what misses its goals there never meets them."""
MOST_PER_S = 1e6
WIDEN = 1.5


def sample(requests: Requests, how: Capacity) -> Requests:
    """Requests of the workload, drawn with replacement, arriving at exactly one a second on average."""
    random = np.random.default_rng(how.seed)
    rows = random.integers(0, requests.arrival_s.size, how.requests)
    drawn = {f.name: getattr(requests, f.name)[rows] for f in fields(requests)}
    arrival_s = np.cumsum(random.exponential(1.0, how.requests))
    return replace(requests, **(drawn | {"arrival_s": arrival_s * how.requests / arrival_s[-1]}))


def at(requests: Requests, rate_per_s: float) -> Requests:
    """The same requests at another rate."""
    return replace(requests, arrival_s=requests.arrival_s / rate_per_s)


def misses(result: Result, requests: Requests, goals: Goals) -> list[str]:
    """The goals that a run misses, in words; empty when both are met, or where no request has a second token to wait for."""
    first_s = float(np.percentile(ttft_s(result), 99))
    later_s = tpot_s(result, requests)
    next_s = float(later_s.mean()) if later_s.size else 0.0
    found = [f"TTFT p99 {first_s:.3g} s > {goals.ttft_p99_s:g} s"] if first_s > goals.ttft_p99_s else []
    return found + ([f"mean TPOT {next_s:.3g} s > {goals.tpot_mean_s:g} s"] if next_s > goals.tpot_mean_s else [])


def largest(missed: Callable[[float], list[str]], *, tolerance: float) -> float:
    """The largest rate [requests/s] at which ``missed`` is empty, to a relative ``tolerance`` below.

    The search always takes the same steps from one request a second, so that equal deployments have equal rates.

    Args:
        missed: What is missed at a rate; more rate never misses less.
        tolerance: Relative width of the last bracket.

    Raises:
        CapacityError: Something is missed at any rate, or nothing at any.
    """
    low = 1.0
    while missed(low):
        low /= WIDEN
        if low < LEAST_PER_S:
            raise CapacityError(
                f"no rate meets the goals: even alone, {'; '.join(missed(LEAST_PER_S))}; relax goals in params/fleet.yaml"
            )
    high = low * WIDEN
    while not missed(high):
        low, high = high, high * WIDEN
        if high > MOST_PER_S:
            raise CapacityError(
                "the largest rate cannot be told: the sample meets the goals even if it comes all at once; "
                "raise capacity.requests in params/fleet.yaml"
            )
    while high > low * (1 + tolerance):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if missed(middle) else (middle, high)
    return low
