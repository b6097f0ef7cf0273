"""A closed loop: N clients, each with one request in flight, as load generators measure a server.

Throughput is counted where the loop is steady: from the first full turnover (every client has been replaced once) until the
last request is admitted. A request's tokens after the first count as evenly spaced between its first and its last:

    tokens_per_s = sum_r output_r (share of [first_r, finish_r] inside [t0, t1]) / (t1 - t0)

By hand: two clients and six requests of 10 tokens, three for each client, one after the other, 10 s each with the first
token at once: from 10 s to 20 s each client emits 10 tokens, 2 tokens/s. With four requests the window is empty (the
last are admitted when the first end), and the whole run counts instead: 40 tokens in 20 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import WorkloadError
from deltastack.fleet.simulator import Requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from deltastack.fleet.simulator import Result

TURNOVERS, LEAST = 10, 300
"""Requests for each client, and at least how many in all: start and tail then weigh little."""
LOW_END, HIGH_END = 0.5, 1.2
"""The shortest output over the first quantile, and the longest over the last. Source: this project; the mean is kept."""


def count(clients: int) -> int:
    """How many requests a run of ``clients`` takes."""
    return max(TURNOVERS * clients, LEAST)


def lengths(mean: float, quantiles: Mapping[float, float], requests: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Output lengths of a stated mean whose shape follows ``quantiles``, shuffled, (R,) [tokens].

    Evenly spaced ranks of the piecewise linear quantile function, scaled to the mean; without quantiles every length is
    the mean.

    Args:
        mean: [tokens].
        quantiles: Tokens by probability, such as ``{0.5: 474, 0.9: 1358}``.
        requests: How many.
        seed: Of the shuffle.

    Raises:
        WorkloadError: A mean below one token, or quantiles that fall.
    """
    points = sorted(quantiles.items())
    values = np.array([v for _, v in points], dtype=np.float64)
    if not mean >= 1 or np.any(np.diff(values) < 0) or np.any(values < 0):
        raise WorkloadError(f"output lengths: wanted a mean of 1 or more and rising quantiles, found {mean:g} and {dict(points)}")
    if not points:
        return np.full(requests, round(mean), dtype=np.int64)
    ranks = np.concatenate([[0.0], [p for p, _ in points], [1.0]])
    ends = np.concatenate([[LOW_END * values[0]], values, [HIGH_END * values[-1]]])
    drawn = np.interp((np.arange(requests) + 0.5) / requests, ranks, ends)
    whole = np.maximum(np.rint(drawn * mean / drawn.mean()), 1).astype(np.int64)
    return np.random.default_rng(seed).permutation(whole)


def requests(output_tokens: NDArray[np.int64], *, prompt_tokens: int, image_tokens: int = 0) -> Requests:
    """Requests with these outputs and equal prompts; with ``image_tokens``, one image each, before ``prompt_tokens`` of text."""
    none = np.zeros(output_tokens.size, np.int64)
    return Requests(
        arrival_s=none.astype(np.float64),
        images=none + (image_tokens > 0),
        image_tokens=none + image_tokens,
        prompt_tokens=none + prompt_tokens + image_tokens,
        output_tokens=output_tokens,
        cached_tokens=none,
        cached_images=none,
        delay_s=none.astype(np.float64),
    )


def steady_tokens_per_s(result: Result, served: Requests, clients: int) -> float:
    """Output tokens a second while all clients are busy and no longer in step.

    Args:
        result: Of a run with ``clients`` in a closed loop.
        served: The requests of that run.
        clients: How many were in flight.
    """
    finish_s, last_s = np.sort(result.finish_s), float(result.start_s.max())
    first_s = float(finish_s[min(clients - 1, finish_s.size - 1)])
    if first_s >= last_s:
        first_s, last_s = 0.0, float(finish_s[-1])
    spread_s = np.maximum(result.finish_s - result.first_token_s, np.finfo(np.float64).tiny)
    done = [np.clip((t - result.first_token_s) / spread_s, 0.0, 1.0) for t in (first_s, last_s)]
    return float(served.output_tokens @ (done[1] - done[0])) / (last_s - first_s)
