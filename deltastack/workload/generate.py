"""Generate a workload that reproduces a mix: exact shares and quantiles, seeded, the same bytes every time.

Quantiles are interpolated in log space; the uniforms are stratified (one in each of n equal cells), so that the sample
quantiles are the mix's own and not a draw around them. Tiles and context are coupled by a Gaussian copula. Arrivals a
minute are multinomial with a rate that swings over the day (text) or in bursts (images), uniform inside the minute.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from deltastack.contracts import WORKLOAD
from deltastack.errors import WorkloadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from deltastack.workload.images import ImageRule
    from deltastack.workload.mix import Burst, Mix

MINUTE_S = 60.0
DAY_MIN = 1440
MOST_REQUESTS = 10_000_000
MOST_S = 3.2e8
"""Ten times the week of the published trace, and ten years. Source: this project; what a laptop's memory holds."""
LEAST_TOKENS_A_TILE = 4
"""A tile takes at least so many tokens of its context (Source: this project; keeps counts of tiles possible)."""


def generate(mix: Mix, rule: ImageRule, *, requests: int, duration_s: float, seed: int) -> pd.DataFrame:
    """A workload frame of exactly ``requests`` rows over ``duration_s``.

    Raises:
        WorkloadError: Fewer than one request or more than can be held, no time for them, or a negative seed.
    """
    if not (1 <= requests <= MOST_REQUESTS and MINUTE_S <= duration_s <= MOST_S):
        wanted = f"wanted 1 to {MOST_REQUESTS:,} requests in {MINUTE_S:g} to {MOST_S:g} s"
        raise WorkloadError(f"a workload of {requests:,} requests in {duration_s:g} s: {wanted}")
    if seed < 0:
        raise WorkloadError(f"seed {seed}: wanted a whole number from 0 up")
    rng = np.random.default_rng(seed)
    texts = round(requests * mix.text_only_share)
    counts = texts, requests - texts
    arrival_s = np.concatenate(
        [_text_arrivals_s(rng, mix, counts[0], duration_s), _image_arrivals_s(rng, mix, counts[1], duration_s)]
    )
    prompt_u, tile_u = _coupled(rng, counts[1], mix.size_correlation)
    image_prompt = quantile_values(prompt_u, mix.context_tokens.q, mix.context_tokens.image)
    tiles = _tiles(tile_u, image_prompt, mix)
    text_prompt = quantile_values(_stratified(rng, texts), mix.context_tokens.q, mix.context_tokens.text_only)
    q, texts_out, images_out = mix.generated_tokens.q, mix.generated_tokens.text_only, mix.generated_tokens.image
    output = np.concatenate(
        [
            quantile_values(_stratified(rng, texts), q, texts_out),
            quantile_values(_stratified(rng, counts[1]), q, images_out),
        ]
    )
    images = np.concatenate([np.zeros(texts, dtype=np.int64), tiles])
    return _frame(arrival_s, images, np.concatenate([text_prompt, image_prompt]), output, rule)


def quantile_values(u: NDArray[np.float64], q: Sequence[float], values: Sequence[float]) -> NDArray[np.int64]:
    """Whole values (R,) at uniforms ``u`` (R,), log-linear between the quantiles.

    Below the first quantile the line runs down to half its value (never below 1); above the last it goes on with the
    slope of the last interval in the normal score, as a lognormal tail would.
    """
    knots_q = np.concatenate(([0.0], q, [0.9999]))
    slope = (math.log(values[-1]) - math.log(values[-2])) / (stats.norm.ppf(q[-1]) - stats.norm.ppf(q[-2]))
    tail = math.log(values[-1]) + slope * (stats.norm.ppf(0.9999) - stats.norm.ppf(q[-1]))
    knots = np.concatenate(([math.log(max(values[0] / 2, 1.0))], np.log(values), [tail]))
    return np.maximum(np.rint(np.exp(np.interp(u, knots_q, knots))), 1).astype(np.int64)


def _stratified(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return (rng.permutation(count) + rng.random(count)) / max(count, 1)


def _coupled(rng: np.random.Generator, count: int, correlation: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two stratified uniforms (count,) whose normal scores are correlated."""
    first = rng.normal(size=count)
    second = correlation * first + math.sqrt(1 - correlation**2) * rng.normal(size=count)
    ranks = [np.argsort(np.argsort(z, kind="stable"), kind="stable") for z in (first, second)]
    uniforms = [(r + rng.random(count)) / max(count, 1) for r in ranks]
    return uniforms[0], uniforms[1]


def _tiles(u: NDArray[np.float64], prompt: NDArray[np.int64], mix: Mix) -> NDArray[np.int64]:
    table = mix.images_per_image_request
    index = np.minimum(np.searchsorted(table.cumulative, u, side="right"), len(table.value) - 1)
    tiles = np.asarray(table.value, dtype=np.int64)[index]
    room = np.maximum(prompt // LEAST_TOKENS_A_TILE, 1)
    return np.where(tiles > room, np.floor(np.sqrt(room)).astype(np.int64) ** 2, tiles)


def _text_arrivals_s(rng: np.random.Generator, mix: Mix, count: int, duration_s: float) -> NDArray[np.float64]:
    minute = np.arange(math.ceil(duration_s / MINUTE_S))
    days = np.asarray(mix.text_only_rate_per_min_by_day)
    swing = (mix.burst.text_day_ratio - 1) / (mix.burst.text_day_ratio + 1)
    rate = days[(minute // DAY_MIN) % days.size] * (1 + swing * np.cos(2 * math.pi * minute / DAY_MIN))
    return _arrivals_s(rng, rate, count, duration_s)


def _image_arrivals_s(rng: np.random.Generator, mix: Mix, count: int, duration_s: float) -> NDArray[np.float64]:
    return _arrivals_s(rng, burst_rate(rng, mix.burst, math.ceil(duration_s / MINUTE_S)), count, duration_s)


def burst_rate(rng: np.random.Generator, burst: Burst, minutes: int) -> NDArray[np.float64]:
    """Relative image rate (minutes,): the exponential of a first-order autoregression in the logarithm."""
    keep = math.exp(-1 / burst.image_correlation_min)
    step = burst.image_log_sd * math.sqrt(1 - keep**2)
    log = np.empty(minutes)
    log[0] = rng.normal(0, burst.image_log_sd)
    shocks = rng.normal(0, step, minutes)
    for i in range(1, minutes):
        log[i] = keep * log[i - 1] + shocks[i]
    return np.exp(log)


def _arrivals_s(rng: np.random.Generator, rate: NDArray[np.float64], count: int, duration_s: float) -> NDArray[np.float64]:
    a_minute = rng.multinomial(count, rate / rate.sum())
    start_s = np.repeat(np.arange(rate.size) * MINUTE_S, a_minute)
    return np.minimum(start_s + rng.random(count) * MINUTE_S, duration_s)


def _frame(
    arrival_s: NDArray[np.float64],
    images: NDArray[np.int64],
    prompt: NDArray[np.int64],
    output: NDArray[np.int64],
    rule: ImageRule,
) -> pd.DataFrame:
    order = np.argsort(arrival_s, kind="stable")
    frame = pd.DataFrame(
        {
            "request": pd.array(np.arange(order.size), dtype="Int64"),
            "arrival_s": arrival_s[order],
            "images": pd.array(images[order], dtype="Int64"),
            "image_tokens": pd.array(rule.tokens(images, prompt)[order], dtype="Int64"),
            "prompt_tokens": pd.array(prompt[order], dtype="Int64"),
            "output_tokens": pd.array(output[order], dtype="Int64"),
            **dict.fromkeys(("prefix_tokens", "reuse_tokens", "reuse_requests"), pd.array([None] * order.size, dtype="Int64")),
        }
    )
    return WORKLOAD.check(frame)
