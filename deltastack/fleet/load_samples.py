"""The load that a deployment is tested with: a systematic sample of the workload's requests as a Poisson stream.

Requests are sorted by images, prompt and output, and every N/n-th is taken from a random first one on, so that every sample
has its share of the rare long ones; their order and their gaps are drawn. At another rate the same requests come with the same
gaps, scaled. Goals of the requests belong to the load: they are those of the deployment with nothing switched on, whatever is
tested.

Source of systematic sampling: Cochran, Sampling Techniques (1977), ch. 8.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from deltastack.fleet.slo import objectives

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from deltastack.fleet.settings import Capacity, Goals
    from deltastack.fleet.simulator import Requests, Result
    from deltastack.fleet.slo import Objectives

PILOT_SHARE = 8
PILOT_LEAST = 50
"""The pilot has one in eight of a sample's requests, 50 at least if the sample has them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadSamples:
    """What every cell of a draw is tested with; arrivals are at one request a second."""

    pilot: Objectives
    """A small sample, for the rough place of the goodput."""
    samples: tuple[Objectives, ...]
    """One for each seed of arrivals."""
    share: float


def load_samples(requests: Requests, how: Capacity, goals: Goals, serve: Callable[[Requests], Result]) -> LoadSamples:
    """Samples of ``requests`` with their goals.

    Args:
        requests: The workload.
        how: How many requests and seeds.
        goals: Slack and share.
        serve: The deployment with nothing switched on.
    """
    few = max(how.requests // PILOT_SHARE, min(how.requests, PILOT_LEAST))
    pilot, *samples = (
        objectives(sample(requests, count, np.random.default_rng([how.seed, number])), goals, serve)
        for number, count in enumerate([few] + [how.requests] * how.arrivals)
    )
    return LoadSamples(pilot=pilot, samples=tuple(samples), share=goals.share)


def sample(requests: Requests, count: int, random: np.random.Generator) -> Requests:
    """``count`` requests, a systematic sample in random order, arriving at exactly one a second on average.

    Args:
        requests: The workload; fewer than ``count`` are repeated equally often.
        count: How many.
        random: Draws the first request, the order and the gaps.
    """
    order = _order(requests)
    places = (np.arange(count) + random.random()) * (order.size / count)
    rows = random.permutation(order[places.astype(np.int64)])
    drawn = {f.name: getattr(requests, f.name)[rows] for f in fields(requests)}
    arrival_s = np.cumsum(random.exponential(1.0, count))
    return replace(requests, **(drawn | {"arrival_s": arrival_s * count / arrival_s[-1]}))


@lru_cache(maxsize=2)
def _order(requests: Requests) -> NDArray[np.intp]:
    """Rows by images, prompt and output; one workload is sampled again and again."""
    return np.lexsort((requests.output_tokens, requests.prompt_tokens, requests.images))


def at(requests: Requests, rate_per_s: float) -> Requests:
    """Requests that come at one a second, at another rate."""
    return replace(requests, arrival_s=requests.arrival_s / rate_per_s)
