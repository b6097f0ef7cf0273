"""The closed loop: its output lengths, and what counts as its steady throughput."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import WorkloadError
from deltastack.fleet import closed_loop
from deltastack.fleet.simulator import Config, simulate
from tests.fakes import fake_tables

SHAPE = {0.1: 48.0, 0.5: 474.0, 0.9: 1358.0}


def served(rounds: int) -> tuple[object, object]:
    """Two clients, each with ``rounds`` requests of 10 tokens and 10 s, one after the other, the first token at once."""
    requests = closed_loop.requests(np.full(2 * rounds, 10), prompt_tokens=5)
    result = simulate(fake_tables(), requests, Config(kv_capacity_tokens=1000, clients=2))
    start_s = 10.0 * np.repeat(np.arange(rounds), 2)
    return replace(result, start_s=start_s, first_token_s=start_s, finish_s=start_s + 10.0), requests


def test_by_hand() -> None:
    """Three rounds: from 10 s to 20 s each client emits 10 tokens, 2 tokens/s; four requests leave only the whole run."""
    assert closed_loop.steady_tokens_per_s(*served(3), 2) == pytest.approx(2.0)  # type: ignore[arg-type]
    assert closed_loop.steady_tokens_per_s(*served(2), 2) == pytest.approx(2.0)  # type: ignore[arg-type]


def test_tokens_count_by_their_share_of_the_window() -> None:
    """A request that runs from -10 s to 15 s has a fifth of its tokens between 10 s and 20 s, beside two whole requests."""
    result, requests = served(3)
    first_s, finish_s = np.array([0.0, -10, 10, 10, 20, 20]), np.array([10.0, 15, 20, 20, 30, 30])
    half = replace(result, first_token_s=first_s, finish_s=finish_s)  # type: ignore[type-var]

    got = closed_loop.steady_tokens_per_s(half, requests, 1)  # type: ignore[arg-type]
    assert got == pytest.approx((10 + 10 + 10 * 5 / 25) / 10)


def test_the_start_and_the_tail_do_not_count() -> None:
    """The same server with 10 and with 40 turnovers: within 2 %, although start and tail weigh four times less."""
    tables, rates = fake_tables(), []
    for turnovers in (10, 40):
        requests = closed_loop.requests(closed_loop.lengths(300, SHAPE, 32 * turnovers), prompt_tokens=200)
        result = simulate(tables, requests, Config(kv_capacity_tokens=400_000, clients=32))
        rates.append(closed_loop.steady_tokens_per_s(result, requests, 32))

    assert rates[0] == pytest.approx(rates[1], rel=0.02)


@given(st.floats(5, 5000), st.integers(200, 2000), st.integers(0, 5))
def test_lengths_keep_the_mean_and_the_shape(mean: float, count: int, seed: int) -> None:
    """The stated mean to half a token; ratios of quantiles as stated; the seed only shuffles."""
    drawn = closed_loop.lengths(mean, SHAPE, count, seed=seed)

    assert drawn.mean() == pytest.approx(mean, abs=0.6)
    assert sorted(drawn) == sorted(closed_loop.lengths(mean, SHAPE, count, seed=seed + 1))
    low, high = np.quantile(drawn, [0.5, 0.9])
    assert high / low == pytest.approx(1358 / 474, rel=0.05 + 3 / low)


def test_without_quantiles_every_length_is_the_mean() -> None:
    """A load generator with a fixed output length; 2.6 tokens round to 3."""
    assert closed_loop.lengths(2.6, {}, 4).tolist() == [3, 3, 3, 3]


@pytest.mark.parametrize(("mean", "shape"), [(0.0, {}), (float("nan"), {}), (10.0, {0.1: 9.0, 0.9: 3.0})])
def test_lengths_that_cannot_be(mean: float, shape: dict[float, float]) -> None:
    """A mean below one token and falling quantiles are refused with what was found."""
    with pytest.raises(WorkloadError, match="wanted a mean of 1 or more and rising quantiles"):
        closed_loop.lengths(mean, shape, 10)


def test_an_image_stands_before_the_text() -> None:
    """900 visual and 150 text tokens are one image and a prompt of 1,050."""
    requests = closed_loop.requests(np.array([7]), prompt_tokens=150, image_tokens=900)

    assert (requests.images[0], requests.image_tokens[0], requests.prompt_tokens[0]) == (1, 900, 1050)
