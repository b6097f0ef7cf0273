"""The service level objective (SLO) of each request: its own end-to-end time on an empty fleet, and a stated slack.

    goal_s = unloaded_s + slack_s + slack_token_s output_tokens          met: e2e_s <= goal_s

``unloaded_s`` is the time of the same request alone on the deployment with nothing switched on, so that a long prompt does not
miss for its length, and a technique cannot loosen its own goal. The slack is that of a first token and of each token that
follows: a goal for TTFT and one for TPOT, added up. By hand: 0.5 s alone, 100 tokens, slack 2 s and 20 ms: 0.5 + 2 + 2 = 4.5 s.

Source: goodput as the rate at which a share of requests meets its SLO is that of DistServe (Zhong et al., OSDI 2024); goals
scaled from the unloaded time are those of AlpaServe (Li et al., OSDI 2023).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from deltastack.fleet.simulator import e2e_s, tpot_s, ttft_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from deltastack.fleet.settings import Goals
    from deltastack.fleet.simulator import Requests, Result

SPACING_S = 1e4
"""Between two requests that must not meet; widened where one of them takes longer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Objectives:
    """Requests, and the end-to-end time within which each must end."""

    requests: Requests
    goal_s: NDArray[np.float64]
    """(R,) in the order of ``requests``."""
    share: float
    """Of requests that must meet their goal."""

    def met(self, result: Result) -> float:
        """The share of requests that ended within their goal, in 0..1."""
        return float(np.mean(e2e_s(result) <= self.goal_s))

    def misses(self, result: Result) -> list[str]:
        """What a run misses, in words, its 99th percentiles beside it; empty where enough requests meet their goal."""
        met = self.met(result)
        if met >= self.share:
            return []
        later_s = tpot_s(result, self.requests)
        tail = f", p99 of TPOT {np.percentile(later_s, 99):.3g} s" if later_s.size else ""
        first_s = float(np.percentile(ttft_s(result), 99))
        return [f"{met:.1%} of requests end within their own goal, wanted {self.share:.0%}; p99 of TTFT {first_s:.3g} s{tail}"]


def objectives(requests: Requests, goals: Goals, serve: Callable[[Requests], Result]) -> Objectives:
    """The goal of each request.

    Args:
        requests: In order of arrival.
        goals: The slack, and the share that must meet it.
        serve: The deployment with nothing switched on.
    """
    alone_s = unloaded_s(requests, serve)
    goal_s = alone_s + goals.slack_s + goals.slack_token_s * requests.output_tokens
    return Objectives(requests=requests, goal_s=goal_s, share=goals.share)


def unloaded_s(requests: Requests, serve: Callable[[Requests], Result]) -> NDArray[np.float64]:
    """End-to-end time of each request with nothing else in the fleet, (R,) [s]."""
    spacing_s: float = SPACING_S
    while True:
        apart_s = spacing_s * np.arange(requests.arrival_s.size, dtype=np.float64)
        alone_s = e2e_s(serve(replace(requests, arrival_s=apart_s)))
        if float(alone_s.max()) < spacing_s:
            return alone_s
        spacing_s *= 10
