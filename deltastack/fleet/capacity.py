"""Goodput: the largest rate at which a stated share of requests meets its own latency goal.

Rates stand on one grid, e^(STEP j) requests/s for whole j from LOWEST to HIGHEST, the same for every deployment and seed. A pilot
of few requests finds the place on every fourth rate; one sample, then the mean of all samples, find the two neighbours between
which the share falls below the wanted one. An isotonic regression makes the mean fall with the rate; between rates it is
straight in their logarithm.

By hand: shares .95, .85 at e^.04, e^.08 requests/s, .9 wanted: half way, e^.06.

Source of the regression: Barlow et al., Statistical Inference under Order Restrictions (1972); scipy's.
"""

from __future__ import annotations

from functools import cache
from math import floor, fsum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from scipy.optimize import isotonic_regression

from deltastack.errors import CapacityError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Met: TypeAlias = Callable[[int], float]

STEP = 0.04
"""Logarithm of the ratio of two neighbouring rates: 4 %."""
LOWEST, HIGHEST = -176, 348
"""One request in 19 minutes, at which nothing waits for anything else, to a million a second, at which all come at once."""
ROUGH = 4
"""The pilot looks at every fourth rate."""


def rate_per_s(place: float) -> float:
    """The rate at a place of the grid, or between two [requests/s]."""
    return float(np.exp(STEP * place))


class Places(NamedTuple):
    """Where on the grid the share of a deployment falls below the wanted one."""

    pilot: float | None
    """In the pilot, which is lighter than the full samples; None: it was not asked, or cannot tell."""
    full: float
    """In the full samples, on average."""


ANYWHERE = Places(pilot=0.0, full=0.0)
"""Nothing is known: one request a second."""


def goodput(pilot: Met, samples: Sequence[Met], *, share: float, near: Places = ANYWHERE) -> float:
    """The largest rate [requests/s] at which ``share`` of the requests meets its goal, on average over ``samples``.

    Raises:
        CapacityError: As ``places``.
    """
    return rate_per_s(places(pilot, samples, share=share, near=near).full)


def places(pilot: Met, samples: Sequence[Met], *, share: float, near: Places = ANYWHERE) -> Places:
    """The places at which ``share`` of the requests meets its goal.

    Args:
        pilot: The share that meets its goal in a small sample, by place on the grid; more rate meets no more, up to noise.
        samples: The same in each full sample.
        share: The wanted share, in 0..1.
        near: Those of another deployment with the same load. The search begins there, and takes this pilot to be as far from its
            full samples as that one is; a pilot that was not asked there is not asked here.

    Raises:
        CapacityError: Too few meet their goal at the lowest rate, or enough at the highest.
    """
    each = [cache(met) for met in samples]
    rough = None if near.pilot is None else _rough(pilot, share, near.pilot)
    start = near.full if near.pilot is None or rough is None else rough + near.full - near.pilot
    place = bracket(each[0], share, start=min(max(floor(start), LOWEST), HIGHEST))
    mean: dict[int, float] = {}

    def average(place: int) -> float:
        mean[place] = fsum(met(place) for met in each) / len(each)
        return mean[place]

    bracket(average, share, start=place)
    return Places(rough, crossing(mean, share))


def _rough(pilot: Met, share: float, start: float) -> float | None:
    """Where the pilot falls below ``share``; None if it is too small to tell."""
    seen: dict[int, float] = {}

    def met(place: int) -> float:
        seen[place] = pilot(ROUGH * place)
        return seen[place]

    try:
        bracket(met, share, start=floor(start / ROUGH), least=LOWEST // ROUGH, most=HIGHEST // ROUGH)
    except CapacityError:
        return None
    return ROUGH * crossing(seen, share)


def bracket(met: Met, share: float, *, start: int, least: int = LOWEST, most: int = HIGHEST) -> int:
    """The last place at which ``met`` is at least ``share``: steps that double away from ``start``, then halves.

    Where ``met`` falls, every start finds the same place.

    Raises:
        CapacityError: ``met`` is below ``share`` at ``least``, or not below it at ``most``.
    """
    met, low, high, step = cache(met), start, start, 1
    while met(low) < share:
        if low == least:
            raise CapacityError(
                f"no rate meets the goals: alone on the fleet, {met(low):.1%} of requests end within their own goal, wanted "
                f"{share:.0%}; raise goals.slack_s or goals.slack_token_s in params/fleet.yaml or in the scene"
            )
        high, low, step = low, max(low - step, least), step * 2
    high, step = (high, step) if high > low else (min(low + 1, most), 2)
    while met(high) >= share:
        if high == most:
            raise CapacityError(
                "the largest rate cannot be told: the sample meets the goals even if it comes all at once; "
                "raise capacity.requests in params/fleet.yaml"
            )
        low, high, step = high, min(high + step, most), step * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if met(middle) >= share else (low, middle)
    return low


def crossing(met: Mapping[int, float], share: float) -> float:
    """The place at which the isotonic fit of ``met`` falls below ``share``, straight between places.

    Args:
        met: Shares by place; at least ``share`` at the lowest of them, below it at the highest.
        share: The wanted share.
    """
    places = np.array(sorted(met))
    fitted = np.asarray(isotonic_regression([met[int(p)] for p in places], increasing=False).x)
    last = int(np.flatnonzero(fitted >= share)[-1])
    above, below = fitted[last] - share, share - fitted[last + 1]
    return float(places[last] + (places[last + 1] - places[last]) * above / (above + below))
