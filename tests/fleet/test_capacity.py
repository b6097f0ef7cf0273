"""Goodput: the search on its grid, the load it is searched with, and the same answer from a slow twin."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import CapacityError, OutOfValidityError
from deltastack.fleet import accelerator, capacity, evaluate, full_load, load_samples, settings
from deltastack.fleet.settings import Capacity, Goals
from deltastack.fleet.simulator import Config, Requests, simulate
from deltastack.fleet.slo import Objectives, objectives
from tests.fakes import fake_tables, fake_trace
from tests.fleet.simulator.oracle import Oracle

ROOT = Path(__file__).parents[2]
GOALS = Goals(share=0.9, slack_s=0.5, slack_token_s=0.01)
HOW = Capacity(requests=200, requests_per_replica=0, arrivals=2, draw_arrivals=1, seed=3)
TABLES = fake_tables()
SERVER = Config(kv_capacity_tokens=200_000, host_step_s=1e-3, max_sequences=64, token_budget=2048)
TRACE = fake_trace(400, 2.0)


def falling(limit: float) -> capacity.Met:
    """A share that falls smoothly with the rate and is .9 at ``limit`` places."""
    return lambda place: 1 / (1 + math.exp((place - limit) / 3) / 9)


LIMITS = st.builds(lambda place, part: place + part, st.integers(-100, 200), st.floats(0.01, 0.99))
"""Never on the grid itself."""


@given(LIMITS, st.integers(-176, 348))
def test_every_start_finds_the_same_place(limit: float, start: int) -> None:
    """Where more rate meets no more, the last rate that still does is found from everywhere on the grid."""
    assert capacity.bracket(falling(limit), 0.9, start=start) == math.floor(limit)


@given(LIMITS, st.integers(-40, 40))
def test_the_goodput_hangs_on_no_start(limit: float, off: int) -> None:
    """A pilot that is wrong by 40 places (a factor of 5) does not move the goodput by a bit; it is the limit of the curve."""
    right = capacity.goodput(falling(limit), [falling(limit)], share=0.9)
    wrong = capacity.goodput(falling(limit + off), [falling(limit)], share=0.9)

    assert right == wrong
    assert right == pytest.approx(capacity.rate_per_s(limit), rel=2e-3)


@given(LIMITS, st.floats(-170, 340), st.floats(-170, 340) | st.none())
def test_the_goodput_hangs_on_no_other_deployment(limit: float, full: float, pilot: float | None) -> None:
    """Wherever another deployment's pilot and samples fell below, this one's goodput is the same to the last bit."""
    near = capacity.Places(pilot, full)

    assert capacity.goodput(falling(limit), [falling(limit)], share=0.9, near=near) == capacity.goodput(
        falling(limit), [falling(limit)], share=0.9
    )


def test_beside_a_like_deployment_two_probes_do() -> None:
    """A pilot that flatters by 3 places there and here, limits at 50.5 and 53.5: the sample is asked at 53 and 54 alone."""
    near = capacity.places(falling(53.5), [falling(50.5)], share=0.9)
    asked: list[int] = []

    def met(place: int) -> float:
        asked.append(place)
        return falling(53.5)(place)

    found = capacity.places(falling(56.5), [met], share=0.9, near=near)

    assert found.full == pytest.approx(53.5, abs=0.1)
    assert sorted(asked) == [53, 54]


def test_a_pilot_that_was_not_asked_there_is_not_asked_here() -> None:
    """The search begins at the other deployment's own place."""

    def never(_: int) -> float:
        raise AssertionError

    found = capacity.places(never, [falling(50.5)], share=0.9, near=capacity.Places(None, 49.0))

    assert found.pilot is None
    assert found.full == pytest.approx(50.5, abs=0.1)


def test_half_way_by_hand() -> None:
    """Shares .95, .85 at places 1, 2 and .9 wanted: e^(.04 x 1.5). At .88 of .95, .85: seven tenths of the way."""
    found = capacity.goodput(lambda _: 0.95 if _ < 2 else 0.85, [lambda _: 0.95 if _ < 2 else 0.85], share=0.9)

    assert found == pytest.approx(math.exp(0.06), rel=1e-12)
    assert capacity.crossing({1: 0.95, 2: 0.85}, 0.88) == pytest.approx(1.7)


def test_samples_are_averaged() -> None:
    """Two samples of which one meets .96 and .89, the other .94 and .81: the mean is that of the case by hand."""
    shares = ({1: 0.96, 2: 0.89}, {1: 0.94, 2: 0.81})
    each = [lambda p, s=s: s[min(max(p, 1), 2)] for s in shares]

    assert capacity.goodput(each[0], each, share=0.9) == pytest.approx(math.exp(0.06), rel=1e-12)


def test_a_share_that_rises_is_pooled() -> None:
    """.93, .86, .94, .80 at 0 to 3: the fit is .93, .90, .90, .80, so .9 is met up to place 2, and .85 half a place further."""
    met = {0: 0.93, 1: 0.86, 2: 0.94, 3: 0.80}

    assert capacity.crossing(met, 0.9 - 1e-9) == pytest.approx(2.0, abs=1e-6)
    assert capacity.crossing(met, 0.85) == pytest.approx(2.5)


@given(st.lists(st.floats(0.0, 1.0), min_size=4, max_size=12), st.floats(0.05, 0.9), st.floats(0.01, 0.09))
def test_a_stricter_share_never_has_the_larger_goodput(shares: list[float], share: float, more: float) -> None:
    """Monotone by construction, whatever the noise."""
    met = {0: 1.0, **{i + 1: x for i, x in enumerate(shares)}, len(shares) + 1: 0.0}

    assert capacity.crossing(met, share + more) <= capacity.crossing(met, share)


def test_goals_that_no_rate_meets() -> None:
    """Where too few meet their goal even alone, one line says how many, how many are wanted, and what to raise."""
    with pytest.raises(CapacityError, match=r"^no rate meets the goals: alone on the fleet, 42\.0% .* wanted 90%; raise goals"):
        capacity.goodput(lambda _: 0.42, [lambda _: 0.42], share=0.9)


def test_a_pilot_that_cannot_tell_does_no_harm() -> None:
    """A pilot too small for the fleet meets its goals at every rate, or at none: the samples decide."""
    found = [capacity.goodput(lambda _, x=x: x, [falling(50.5)], share=0.9) for x in (1.0, 0.0)]  # type: ignore[misc]

    assert found[0] == found[1] == capacity.goodput(falling(50.5), [falling(50.5)], share=0.9)


def test_a_sample_too_small_to_tell() -> None:
    """Where enough meet their goal at any rate the search ends, and says what to raise."""
    with pytest.raises(CapacityError, match=r"all at once; raise capacity\.requests"):
        capacity.goodput(lambda _: 1.0, [lambda _: 1.0], share=0.9)


def test_what_a_tier_refuses_is_said() -> None:
    """A deployment that is outside its validity at every rate has no goodput, and its own words stand in the line."""
    load = load_samples.load_samples(TRACE, HOW, GOALS, serve)

    def refuse(_: Requests) -> None:
        raise OutOfValidityError("restores need 1.2 of a tier's time")

    with pytest.raises(CapacityError, match=r"alone on the fleet, 0\.0% .*; restores need 1\.2 of a tier's time$"):
        full_load.goodput(load, refuse)  # type: ignore[arg-type]


def serve(requests: Requests) -> object:
    """The server of these tests."""
    return simulate(TABLES, requests, SERVER)


def test_goals_by_hand() -> None:
    """A goal is the time alone, 0.5 s and 10 ms a token; served far apart every request meets it, at the goal itself too."""
    few = replace(TRACE, arrival_s=1e3 * np.arange(400.0))
    aim = objectives(TRACE, GOALS, serve)
    result = serve(few)
    alone_s = result.finish_s - result.start_s  # type: ignore[attr-defined]

    assert aim.goal_s == pytest.approx(alone_s + 0.5 + 0.01 * TRACE.output_tokens, rel=1e-9)
    exact = Objectives(requests=TRACE, goal_s=alone_s.copy(), share=0.9)
    assert exact.met(result) == 1.0  # type: ignore[arg-type]
    exact.goal_s[:41] -= 1e-6
    assert exact.met(result) == pytest.approx(359 / 400)  # type: ignore[arg-type]
    (words,) = exact.misses(result)  # type: ignore[arg-type]
    assert words.startswith("89.8% of requests end within their own goal, wanted 90%; p99 of TTFT ")


def test_a_sample_has_its_share_of_every_kind() -> None:
    """Every eighth of 4,000 sorted requests: a sample has an eighth of each image count, give or take one, whatever the seed."""
    trace = fake_trace(4000, 5.0)
    for seed in range(5):
        drawn = load_samples.sample(trace, 500, np.random.default_rng(seed))
        for images in np.unique(trace.images):
            wanted = np.count_nonzero(trace.images == images) / 8
            assert abs(np.count_nonzero(drawn.images == images) - wanted) < 1
        assert drawn.prompt_tokens.mean() == pytest.approx(trace.prompt_tokens.mean(), rel=0.03)


def test_one_sample_at_every_rate() -> None:
    """Rates differ in the gaps' scale only: the requests are the same, and twice the rate takes half the time."""
    drawn = load_samples.sample(fake_trace(1000, 5.0), 200, np.random.default_rng(1))
    slow, fast = load_samples.at(drawn, 2.0), load_samples.at(drawn, 4.0)

    assert np.array_equal(slow.prompt_tokens, fast.prompt_tokens)
    assert slow.arrival_s == pytest.approx(2 * fast.arrival_s, rel=1e-12)
    assert drawn.arrival_s[-1] / 200 == pytest.approx(1.0, rel=1e-12)


def test_a_short_trace_is_repeated() -> None:
    """Ten requests make a sample of thirty: each of them three times."""
    drawn = load_samples.sample(fake_trace(10, 1.0), 30, np.random.default_rng(1))

    assert sorted(drawn.prompt_tokens) == sorted(np.repeat(fake_trace(10, 1.0).prompt_tokens, 3))


def test_every_draw_has_a_load_of_its_own() -> None:
    """Draw 2 is searched with another load than draw 0, and with fewer seeds; the same draw always with the same."""
    central, second, again = (settings.load(ROOT, draw=n, draws=3).values.capacity for n in (0, 2, 2))

    assert central == settings.load(ROOT).values.capacity
    assert (second.seed, second.arrivals) == (central.seed + 2, central.draw_arrivals)
    assert second == again
    loads = [load_samples.load_samples(TRACE, h.model_copy(update={"requests": 50}), GOALS, serve) for h in (central, second)]
    assert [len(load.samples) for load in loads] == [central.arrivals, central.draw_arrivals]
    first, other = (load.samples[0].requests.arrival_s for load in loads)
    assert not np.array_equal(first, other)


def test_a_slow_twin_agrees() -> None:
    """The plain-Python simulator, every sixth place of the grid, then every one, pooling in loops: the same goodput."""
    how = HOW.model_copy(update={"requests": 50})
    load = load_samples.load_samples(TRACE, how, GOALS, serve)

    @cache
    def met(place: int) -> float:
        return sum(twin_met(aim, math.exp(0.04 * place)) for aim in load.samples) / len(load.samples)

    below = next(p for p in range(20, 120, 6) if met(p) < 0.9)
    window = list(range(below - 6, below + 1))
    found = full_load.goodput(load, serve)

    assert found == pytest.approx(math.exp(0.04 * twin_crossing(window, [met(p) for p in window])), rel=0.02)


def twin_met(aim: Objectives, rate_per_s: float) -> float:
    """The share of requests that meet their goal, one by one, after one step of the oracle at a time."""
    seen = replace(aim.requests, arrival_s=aim.requests.arrival_s / rate_per_s)
    result = Oracle(TABLES, seen, SERVER).run()
    ends = [finish - start for finish, start in zip(result["finish_s"], result["start_s"], strict=True)]
    return sum(end <= goal + 1e-9 for end, goal in zip(ends, aim.goal_s, strict=True)) / len(ends)


def twin_crossing(places: list[int], shares: list[float]) -> float:
    """Pool neighbours that rise until none does; then straight between places."""
    blocks = [[share, 1.0] for share in shares]
    i = 0
    while i + 1 < len(blocks):
        if blocks[i + 1][0] > blocks[i][0]:
            (a, n), (b, m) = blocks[i], blocks.pop(i + 1)
            blocks[i] = [(a * n + b * m) / (n + m), n + m]
            i = max(i - 1, 0)
        else:
            i += 1
    fitted = [share for share, n in blocks for _ in range(int(n))]
    last = max(i for i, share in enumerate(fitted) if share >= 0.9)
    return places[last] + (fitted[last] - 0.9) / (fitted[last] - fitted[last + 1])


@pytest.fixture(scope="module")
def found() -> settings.Settings:
    """The default fleet's settings with a small load."""
    known = settings.load(ROOT)
    small = known.values.capacity.model_copy(update={"requests": 600, "arrivals": 2})
    return known._replace(values=known.values.model_copy(update={"capacity": small}))


def test_more_accelerators_serve_more_and_more_slack_too(found: settings.Settings) -> None:
    """1, 2, 4 replicas: never less goodput a replica, beyond 3 % of noise; twice the slack never lowers it."""
    served = found.values.deployment.deployment()
    h100 = accelerator.load(ROOT, served.platform)
    rates = []
    for replicas in (1, 2, 4):
        ready = evaluate.prepare(replace(served, replicas=replicas), TRACE, h100, found.values)
        load = evaluate.offered(ready, found).load
        rates.append(evaluate.goodput(ready, load) / replicas)
        wide = replace(
            load,
            pilot=replace(load.pilot, goal_s=load.pilot.goal_s + 2.0),
            samples=tuple(replace(aim, goal_s=aim.goal_s + 2.0) for aim in load.samples),
        )
        assert evaluate.goodput(ready, wide) >= rates[-1] * replicas

    assert rates[1] > 0.97 * rates[0]
    assert rates[2] > 0.97 * rates[1]


def test_a_run_at_the_goodput_is_a_piece_of_a_stream(found: settings.Settings) -> None:
    """Time a request is accelerators over goodput: components and idle add up to it; loads of weights come on top."""
    served = replace(found.values.deployment.deployment(), replicas=3)
    ready = evaluate.prepare(served, TRACE, accelerator.load(ROOT, served.platform), found.values)
    load = evaluate.offered(ready, found).load
    run = evaluate.at_capacity(ready, found, load)
    time_s = [r.amount or 0.0 for r in run.usage if r.resource == "time_s" and r.component != "storage"]

    assert math.fsum(time_s) == pytest.approx(3 / evaluate.goodput(ready, load), rel=1e-9)
    assert min(time_s) >= 0
