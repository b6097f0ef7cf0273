"""What holds for every run: nothing lost, nothing negative, the same bytes twice, and what a larger mix adds."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings

from deltastack.fleet.simulator import Config, Requests, e2e_s, percentiles, simulate, simulate_many, tpot_s, ttft_s
from tests.fakes import fake_tables, fake_trace
from tests.strategies import serving_cases

BUSY = ("attention_s", "ffn_s", "other_s", "host_s")
USAGE = ("encoder_s", *BUSY, "idle_s", "kv_token_s", "span_s", "prefill_s")


@settings(deadline=None, max_examples=100)
@given(serving_cases())
def test_time_is_conserved(case: tuple[Requests, Config, int]) -> None:
    """Components and idle add up to replicas x span (and encoder and its idle to the pool's), to 1e-9; none is negative."""
    requests, config, seed = case

    got = simulate(fake_tables(seed=seed), requests, config)

    inline_s = 0.0 if config.encoder_pool else got.encoder_s
    total_s = inline_s + sum(getattr(got, name) for name in (*BUSY, "idle_s"))
    assert total_s == pytest.approx(config.replicas * got.span_s, rel=1e-9)
    if config.encoder_pool:
        assert got.encoder_s + got.encoder_idle_s == pytest.approx(config.encoder_pool * got.span_s, rel=1e-9)
    for field in fields(got):
        if field.name != "extrapolated":
            assert np.all(np.asarray(getattr(got, field.name)) >= 0), field.name


@settings(deadline=None, max_examples=100)
@given(serving_cases())
def test_every_request_is_served_in_order_of_its_life(case: tuple[Requests, Config, int]) -> None:
    """Start <= first token <= finish <= span; one output token means both are one; tokens and keys add up."""
    requests, config, seed = case

    got = simulate(fake_tables(seed=seed), requests, config)

    assert np.all(got.start_s + requests.delay_s < got.first_token_s)
    single = requests.output_tokens == 1
    assert np.array_equal(got.first_token_s[single], got.finish_s[single])
    assert np.all(got.first_token_s[~single] < got.finish_s[~single])
    assert got.span_s == got.finish_s.max()
    if config.clients == 0:
        assert np.array_equal(got.start_s, requests.arrival_s)
    by_decoding = int((requests.output_tokens - 1).sum())
    assert by_decoding - got.preemptions <= got.decode_sequence_steps <= by_decoding
    needed = requests.prompt_tokens - np.minimum(requests.cached_tokens, requests.prompt_tokens - 1)
    assert got.prefill_tokens == needed.sum() or got.preemptions > 0
    assert got.kv_peak_tokens.max() <= config.kv_capacity_tokens
    assert got.encoded_images == (requests.images - requests.cached_images).sum()


@pytest.mark.parametrize("policy", ["mixed", "prefill_first"])
@pytest.mark.parametrize("rate", [0.5, 4.0, 9.0, 16.0])
def test_macro_steps_on_the_default_mix(policy: str, rate: float) -> None:
    """On 2,000 requests of the mix, idle to overloaded, usage and percentiles agree to 1e-3 (the gate), in fact to 1e-6."""
    requests, tables = fake_trace(2000, rate), fake_tables(seed=1)
    config = Config(kv_capacity_tokens=120_000, policy=policy, host_step_s=7e-4, host_sequence_s=3e-5, kv_bins=50)

    macro, single = (simulate(tables, requests, replace(config, macro_steps=macro_steps)) for macro_steps in (True, False))

    for name in USAGE:
        assert getattr(macro, name) == pytest.approx(getattr(single, name), rel=1e-6, abs=1e-6), name
    for values in (ttft_s, e2e_s, lambda result: tpot_s(result, requests)):
        assert percentiles(values(macro)) == pytest.approx(percentiles(values(single)), rel=1e-6)
    assert macro.kv_bins_tokens == pytest.approx(single.kv_bins_tokens, rel=1e-3, abs=1.0)


@pytest.mark.parametrize(
    "config",
    [
        Config(kv_capacity_tokens=60_000, replicas=3, clients=8),
        Config(kv_capacity_tokens=60_000, replicas=3, clients=24, router="least_loaded", policy="prefill_first"),
        Config(kv_capacity_tokens=60_000, replicas=3, router="least_loaded", encoder_pool=1),
        Config(kv_capacity_tokens=60_000, replicas=2, kv_policy="reserve", max_sequences=16, encoder_pool=2),
    ],
)
def test_macro_steps_hear_of_work_in_time(config: Config) -> None:
    """A jump never passes the moment at which another replica's client, the router or the encoder pool brings new work."""
    requests, tables = replace(fake_trace(600, 12.0), delay_s=np.tile([0.0, 0.2, 0.01], 200)), fake_tables(seed=3)

    macro, single = (simulate(tables, requests, replace(config, macro_steps=macro_steps)) for macro_steps in (True, False))

    assert macro.replica.tolist() == single.replica.tolist()
    np.testing.assert_allclose(macro.first_token_s, single.first_token_s, rtol=1e-8)
    np.testing.assert_allclose(macro.finish_s, single.finish_s, rtol=1e-8)
    assert macro.steps == single.steps


def test_the_same_bytes_twice_and_in_threads() -> None:
    """Four cells, simulated alone and twice by two threads, give identical bytes in every field."""
    cells = [
        (fake_tables(), fake_trace(300, rate), Config(kv_capacity_tokens=50_000, replicas=2)) for rate in (1.0, 5.0, 10.0, 20.0)
    ]

    alone = [simulate(*cell) for cell in cells]

    for again in (simulate_many(cells), simulate_many(cells, threads=3)):
        for one, other in zip(alone, again, strict=True):
            for field in fields(one):
                left, right = (np.asarray(getattr(result, field.name)).tobytes() for result in (one, other))
                assert left == right, field.name


@settings(deadline=None, max_examples=40)
@given(serving_cases())
def test_bins_hold_all_of_the_occupancy(case: tuple[Requests, Config, int]) -> None:
    """Mean tokens x bin width add up to the integral, to 1e-9; recording them changes nothing else."""
    requests, config, seed = case
    tables = fake_tables(seed=seed)

    plain, binned = simulate(tables, requests, config), simulate(tables, requests, replace(config, kv_bins=7))

    assert binned.kv_bins_tokens.shape == (config.replicas, 7)
    assert binned.kv_bins_tokens.sum() * binned.span_s / 7 == pytest.approx(binned.kv_token_s, rel=1e-9)
    assert binned.kv_bins_tokens.max() <= config.kv_capacity_tokens * (1 + 1e-9)
    np.testing.assert_allclose(binned.finish_s, plain.finish_s, rtol=1e-9)


def test_one_more_replica_halves_the_queue() -> None:
    """An overloaded replica's median TTFT falls when a second one shares the trace, turn by turn."""
    tables, requests = fake_tables(), fake_trace(2000, 16.0)

    one, two = (simulate(tables, requests, Config(kv_capacity_tokens=200_000, replicas=n)) for n in (1, 2))

    assert np.median(ttft_s(two)) < 0.5 * np.median(ttft_s(one))
    assert np.bincount(two.replica).tolist() == [1000, 1000]


def test_no_percentile_of_nothing() -> None:
    """Requests of one output token have no TPOT: its percentiles are None, never 0."""
    requests = replace(fake_trace(5, 1.0), output_tokens=np.ones(5, np.int64))

    got = simulate(fake_tables(), requests, Config(kv_capacity_tokens=50_000))

    assert percentiles(tpot_s(got, requests)) == {"p50": None, "p90": None, "p99": None}
