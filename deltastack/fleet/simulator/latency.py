"""Latencies of served requests: time to first token, time per output token, end to end.

    ttft_s = first_token_s - start_s
    tpot_s = (finish_s - first_token_s) / (output_tokens - 1)      for output_tokens > 1; else there is none
    e2e_s  = finish_s - start_s

By hand: started at 1 s, first token at 3 s, the last of 5 tokens at 11 s: 2 s, 2 s and 10 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from deltastack.fleet.simulator.interface import Requests, Result


def ttft_s(result: Result) -> NDArray[np.float64]:
    """Time to first token, (R,) [s]."""
    return result.first_token_s - result.start_s


def e2e_s(result: Result) -> NDArray[np.float64]:
    """End-to-end latency, (R,) [s]."""
    return result.finish_s - result.start_s


def tpot_s(result: Result, requests: Requests) -> NDArray[np.float64]:
    """Time per output token after the first, of the requests with more than one, (<= R,) [s]."""
    many = requests.output_tokens > 1
    return (result.finish_s[many] - result.first_token_s[many]) / (requests.output_tokens[many] - 1)


def percentiles(values_s: NDArray[np.float64], points: Sequence[int] = (50, 90, 99)) -> dict[str, float | None]:
    """Percentiles by linear interpolation, keyed ``p50`` and so on; None where there is nothing to rank."""
    if values_s.size == 0:
        return dict.fromkeys(f"p{point}" for point in points)
    found = np.percentile(values_s, points)
    return {f"p{point}": float(value) for point, value in zip(points, found, strict=True)}
