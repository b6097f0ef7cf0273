"""Hypothesis strategies for the nouns of the domain; the only place where they live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st

from deltastack.fleet.simulator import Config, Requests
from deltastack.model import Bench, Component, Evidence, OperatingPoint, Resource

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)


def amount_and_reason() -> SearchStrategy[tuple[float | None, str | None]]:
    """An amount without a reason, or a reason without an amount."""
    return st.one_of(st.tuples(finite, st.none()), st.tuples(st.none(), words))


@st.composite
def usage_rows(draw: st.DrawFn) -> list[tuple[object, ...]]:
    """Rows of the USAGE contract with distinct keys; each bench has its one host."""
    keys = st.tuples(
        st.sampled_from(list(Bench)),
        st.sampled_from(list(OperatingPoint)),
        st.integers(0, 2**40),
        st.sampled_from(list(Component)),
        st.sampled_from(list(Resource)),
    )
    rows: list[tuple[object, ...]] = []
    for key in draw(st.lists(keys, unique=True, max_size=8)):
        amount, reason = draw(amount_and_reason())
        rows.append((*key, amount, draw(st.sampled_from(list(Evidence))), reason, f"host of {key[0]}", draw(st.booleans())))
    return rows


deltas = st.floats(-2.0, 0.95)
"""Savings, signed; away from 1 so that logarithms stay tame."""


def delta_lists(most: int = 6) -> SearchStrategy[list[float]]:
    """Savings of one to ``most`` layers."""
    return st.lists(deltas, min_size=1, max_size=most)


@st.composite
def shares(draw: st.DrawFn, count: int) -> list[float]:
    """``count`` shares of a whole, none negative."""
    parts = draw(st.lists(st.floats(0.01, 1.0), min_size=count, max_size=count))
    return [p / sum(parts) for p in parts]


@st.composite
def component_cases(draw: st.DrawFn) -> tuple[list[float], list[list[float]]]:
    """Shares by component, (C,), and savings of each layer in each component, (L, C)."""
    components, layers = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    table = draw(st.lists(st.lists(deltas, min_size=components, max_size=components), min_size=layers, max_size=layers))
    return draw(shares(components)), table


@st.composite
def serving_cases(draw: st.DrawFn) -> tuple[Requests, Config, int]:
    """A few requests and a cramped configuration that serves them all, and a seed for the operator times."""
    count, seed = draw(st.integers(1, 14)), draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    prompt = random.integers(1, draw(st.sampled_from([3, 20, 80])), count)
    output = random.integers(1, draw(st.sampled_from([40, 12, 2])), count)
    images = random.integers(0, 4, count) * random.integers(0, 2, count) if draw(st.booleans()) else np.zeros(count, np.int64)
    prompt += images
    rate = draw(st.sampled_from([1000.0, 300.0, 30.0, 1.0]))
    reuse = draw(st.booleans())
    requests = Requests(
        arrival_s=np.cumsum(random.exponential(1 / rate, count)),
        images=images,
        image_tokens=np.minimum(images * random.integers(1, 300, count), prompt),
        prompt_tokens=prompt,
        output_tokens=output,
        cached_tokens=random.integers(0, prompt + 1) * reuse,
        cached_images=random.integers(0, images + 1) * reuse,
        delay_s=random.exponential(0.5 / rate, count) * random.integers(0, 2, count) * draw(st.booleans()),
    )
    budget = draw(st.sampled_from([4, 16, 64, 512]))
    config = Config(
        replicas=draw(st.sampled_from([1, 2, 3, 5])),
        router=draw(st.sampled_from(["round_robin", "least_loaded", "packed"])),
        pack_tokens=draw(st.sampled_from([0, 40, 200])),
        sleep_timeout_s=draw(st.sampled_from([float("inf"), 0.0, 0.01, 0.3])),
        cold_start_s=draw(st.sampled_from([0.0, 0.02, 1.0])),
        token_budget=budget,
        max_sequences=min(draw(st.sampled_from([4, 6, 1, 2])), budget),
        policy=draw(st.sampled_from(["mixed", "prefill_first"])),
        kv_policy=draw(st.sampled_from(["on_demand", "reserve"])),
        kv_capacity_tokens=int((prompt + output).max()) + draw(st.sampled_from([0, 5, 20, 60, 10**5])),
        host_step_s=draw(st.sampled_from([0.0, 1e-3])),
        host_sequence_s=draw(st.sampled_from([0.0, 3e-5])),
        host_visual_token_s=draw(st.sampled_from([0.0, 2e-4])),
        encoder_pool=draw(st.integers(0, 2)),
        encoder_budget=draw(st.sampled_from([8192, 300, 40, 5, 1])),
        clients=draw(st.sampled_from([0, 0, 1, 3, 20])),
        macro_steps=draw(st.booleans()),
    )
    return requests, config, seed
