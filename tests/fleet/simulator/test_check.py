"""What is refused before the run, and that the message says what would do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deltastack.errors import CapacityError, EvidenceError, ParamsError, WorkloadError
from deltastack.fleet.simulator import Config, misfits, simulate
from tests.fakes import fake_tables, fake_trace

CONFIG = Config(kv_capacity_tokens=100_000)


def test_requests_that_never_fit_are_refused_with_what_would_fit() -> None:
    """9 prompt + 3 output tokens in 10: the error names the row, both parts, the limit and the size that would serve."""
    requests = replace(
        fake_trace(2, 1.0),
        images=np.zeros(2, np.int64),
        image_tokens=np.zeros(2, np.int64),
        prompt_tokens=np.array([4, 9]),
        output_tokens=np.array([3, 3]),
    )

    with pytest.raises(
        CapacityError, match=r"1 of 2 requests exceed KV memory of 10 tokens; row 1 .* 12 \(9 prompt \+ 3 output\).*12 would"
    ):
        simulate(fake_tables(), requests, replace(CONFIG, kv_capacity_tokens=10))

    assert misfits(fake_tables(), requests, CONFIG) == []


def test_the_context_limit_is_checked_too() -> None:
    """A model with a context of 5 tokens serves none of these prompts; both limits are reported at once."""
    found = misfits(replace(fake_tables(), context_limit_tokens=5), fake_trace(3, 1.0), replace(CONFIG, kv_capacity_tokens=6))

    assert len(found) == 2
    assert "the context of fake/8b of 5 tokens" in found[1]


def test_a_request_that_just_fits_is_served() -> None:
    """Memory of exactly prompt + output tokens is enough, for both KV policies."""
    requests = fake_trace(20, 1.0)
    need = int((requests.prompt_tokens + requests.output_tokens).max())

    for kv_policy in ("on_demand", "reserve"):
        got = simulate(fake_tables(), requests, Config(kv_capacity_tokens=need, kv_policy=kv_policy))
        assert np.all(np.isfinite(got.finish_s))


def test_all_breaches_of_a_configuration_at_once() -> None:
    """Three wrong settings, three names in one message."""
    config = Config(kv_capacity_tokens=100, replicas=0, policy="fifo", host_step_s=float("nan"))

    with pytest.raises(
        ParamsError, match=r"replicas = 0.*host_step_s = nan.*policy = 'fifo', must be one of mixed, prefill_first"
    ):
        simulate(fake_tables(), fake_trace(2, 1.0), config)


def test_a_budget_below_the_batch_would_starve() -> None:
    """With decode tokens first, 256 sequences do not fit into steps of 128 tokens."""
    with pytest.raises(ParamsError, match="token_budget = 128 is below max_sequences = 256"):
        simulate(fake_tables(), fake_trace(2, 1.0), replace(CONFIG, token_budget=128))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("arrival_s", [2.0, 1.0, 3.0], "in order"),
        ("arrival_s", [0.0, 1.0, np.inf], "finite"),
        ("delay_s", [0.0, -1.0, 0.0], "delay_s"),
        ("output_tokens", [1, 0, 1], "output_tokens must be at least 1"),
        ("prompt_tokens", [10**5, 0, 10**5], "prompt_tokens must be at least 1"),
        ("cached_tokens", [0, -1, 0], "cached_tokens"),
        ("cached_images", [0, 10**6, 0], "cached_images"),
        ("images", [0, -1, 0], "images"),
        ("images", [0, 1], "shape"),
    ],
)
def test_bad_rows_are_named(column: str, value: list[float], words: str) -> None:
    """Each broken column is refused with its rule and its first row."""
    requests = replace(fake_trace(3, 1.0), **{column: np.array(value)})

    with pytest.raises(WorkloadError, match=words):
        simulate(fake_tables(), requests, CONFIG)


def test_no_rows_is_an_error() -> None:
    """An empty workload has no latency: refused."""
    with pytest.raises(WorkloadError, match="one or more rows"):
        simulate(fake_tables(), fake_trace(0, 1.0), CONFIG)


def test_images_need_encoder_times() -> None:
    """A text-only model refuses images to encode, and serves them when their embeddings are there."""
    requests = fake_trace(50, 1.0)

    with pytest.raises(EvidenceError, match="no encoder times for fake/8b"):
        simulate(fake_tables(multimodal=False), requests, CONFIG)

    embedded = replace(requests, cached_images=requests.images)
    assert simulate(fake_tables(multimodal=False), embedded, CONFIG).encoder_s == 0.0


def test_leaving_the_grid_is_said() -> None:
    """Grids that end below the prompts are named with both ranges; inside them nothing is said."""
    tables = fake_tables()
    short = replace(tables, decode_kv=tables.decode_kv[:10], decode_attention_s=tables.decode_attention_s[:, :10])

    inside = simulate(tables, fake_trace(50, 1.0), CONFIG)
    outside = simulate(short, fake_trace(50, 1.0), CONFIG)

    assert inside.extrapolated == ()
    assert [words.split(":")[0] for words in outside.extrapolated] == ["decode_kv"]
