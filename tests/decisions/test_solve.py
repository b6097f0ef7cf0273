"""Solving for a target: the fewest layers, the limits, what is missing; every outcome on a planted table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltastack.analysis.analysis import Analysis, compute
from deltastack.analysis.slo import SloViolation
from deltastack.contracts import QUALITY, USAGE
from deltastack.decisions.solve import Goal, Outcome, solve
from deltastack.errors import EvidenceError, ParamsError
from deltastack.model import Bench, Component, Evidence, OperatingPoint, Resource
from deltastack.stack import Stack
from tests.report.synthetic import joint

LAYERS = {"storage": dict.fromkeys(Component, 0.8), "pipeline": dict.fromkeys(Component, 0.5), "idle": {Component.ENCODER: 0.0}}
E = Resource.ENERGY_J


def results(quality: dict[str, float] | None = None, layers: Any = LAYERS, **planted: Any) -> Analysis:
    """A factorial at trace; ``quality`` is the change of accuracy by cell, known to half a point."""
    rows = [
        (Bench.FLEET, cell, "accuracy", 1000, 0.9, 0.9 + c, c, c - 0.005, c + 0.005, Evidence.PUBLISHED, None, "host", True)
        for cell, c in (quality or {}).items()
    ]
    return compute(
        stack=Stack(layers=tuple(layers), tolerance=0.02, confidence=0.95, effort="default"),
        workload={},
        baseline=USAGE.empty(),
        deltas={},
        joint={Bench.FLEET: joint(layers, **planted)},
        quality_table=QUALITY.frame(rows) if quality is not None else None,
    )


def test_a_stack_that_serves_late_is_no_answer() -> None:
    """Pipeline alone saves 50 % by missing the goals: the answer is a cell that meets them, and a late one is never the best."""
    late = [
        SloViolation(Bench.FLEET, OperatingPoint.AT_TRACE, cell, 8, 8, "TTFT p99 250 s > 3 s")
        for cell in ("pipeline", "idle+pipeline", "pipeline+storage")
    ]
    found = replace(results(), slo_violations=tuple(late))

    assert ask(found, 0.45).cell.layers == ("storage", "pipeline", "idle")
    every = replace(found, slo_violations=(*late, late[0]._replace(subject="idle+pipeline+storage")))
    answer = ask(every, 0.45)
    assert answer.outcome is Outcome.IMPOSSIBLE
    assert answer.cell.layers == ("storage", "idle")


def ask(found: Analysis, target: float, limit: float | None = None) -> Any:
    """Solve for energy."""
    return solve(found, Goal(targets={E: target}, limits={}, quality=limit), Bench.FLEET, OperatingPoint.AT_TRACE)


def test_the_fewest_layers_by_hand() -> None:
    """50 % is saved by pipeline alone; 55 % takes pipeline + storage (60 %), nearer than pipeline + idle (55 %, too)."""
    answer = ask(results(), 0.45)
    assert (answer.outcome, answer.cell.layers) == (Outcome.FOUND, ("pipeline",))

    answer = ask(results(), 0.55)
    assert answer.cell.layers == ("storage", "pipeline")
    assert answer.cell.savings[E].value == pytest.approx(0.6)
    assert [c.layers for c in answer.also] == [("pipeline", "idle"), ("storage", "pipeline", "idle")]


def test_what_is_missing_by_hand() -> None:
    """All layers leave 36 J of 100 (16 attention, 20 feed-forward); 70 % needs 6 J more: 1/6 of all, 6/20 of the one, 6/16."""
    answer = ask(results(), 0.7)

    assert answer.outcome is Outcome.IMPOSSIBLE
    assert answer.cell.layers == ("storage", "pipeline", "idle")
    need = answer.shortfalls[0]
    assert need.missing == pytest.approx(0.06)
    assert need.further == pytest.approx(6 / 36)
    assert need.by_component == pytest.approx({"ffn": 6 / 20, "attention": 6 / 16})


def test_quality_keeps_a_stack_out() -> None:
    """The only cells that reach 45 % lose two points of accuracy: exit by the quality limit; without a limit they do."""
    change = dict.fromkeys(("pipeline", "pipeline+storage", "idle+pipeline", "idle+pipeline+storage"), -0.02)
    good = dict.fromkeys(("storage", "idle", "idle+storage"), 0.0)
    found = results(change | good)

    assert ask(found, 0.45).outcome is Outcome.FOUND
    answer = ask(found, 0.45, limit=-0.01)
    assert answer.outcome is Outcome.QUALITY_LIMIT
    assert answer.cell.layers == ("storage", "idle")


def test_quality_that_nobody_looked_at_cannot_be_told() -> None:
    """Without readings a quality limit is neither kept nor broken; a reading across the limit is the same."""
    assert ask(results(), 0.45, limit=-0.01).outcome is Outcome.UNDECIDED
    across = dict.fromkeys(("pipeline", "pipeline+storage", "idle+pipeline", "idle+pipeline+storage"), -0.01)
    assert ask(results(across), 0.45, limit=-0.01).outcome is Outcome.UNDECIDED
    assert ask(results(across), 0.45, limit=-0.015).outcome is Outcome.FOUND


def test_noise_across_the_target_cannot_be_told() -> None:
    """Few noisy blocks: the interval holds the target, so nothing is found and nothing is impossible."""
    frame = joint(LAYERS, bench=Bench.TESTBED, samples=4, sd_log=0.1)
    stack = Stack(layers=tuple(LAYERS), tolerance=0.02, confidence=0.95, effort="default")
    found = compute(stack=stack, workload={}, baseline=USAGE.empty(), deltas={}, joint={Bench.TESTBED: frame})

    wish = Goal(targets={E: 0.64}, limits={})
    assert solve(found, wish, Bench.TESTBED, OperatingPoint.PER_SESSION).outcome is Outcome.UNDECIDED


def test_a_limit_on_another_resource_is_kept() -> None:
    """A limit of the same resource above every saving leaves nothing; one below changes nothing."""
    found = results()
    kept = Goal(targets={E: 0.45}, limits={E: 0.55})
    assert solve(found, kept, Bench.FLEET, OperatingPoint.AT_TRACE).cell.layers == ("storage", "pipeline")  # type: ignore[union-attr]
    none = Goal(targets={E: 0.45}, limits={E: 0.9})
    assert solve(found, none, Bench.FLEET, OperatingPoint.AT_TRACE).outcome is Outcome.IMPOSSIBLE


def test_bad_wishes_are_refused() -> None:
    """Nothing, more than everything, a resource that was not run: named with what was wanted."""
    with pytest.raises(ParamsError, match="at least one target"):
        Goal(targets={}, limits={})
    with pytest.raises(ParamsError, match=r"energy_j=33\.3: wanted a saving between 0 and 1"):
        Goal(targets={E: 33.3}, limits={})
    wish = Goal(targets={Resource.COST_USD: 0.2}, limits={})
    there = Goal(targets={E: 0.2}, limits={})
    with pytest.raises(EvidenceError, match="it has: nothing; energy_j is there for: fleet at_trace"):
        solve(results(), there, Bench.TESTBED, OperatingPoint.AT_TRACE)
    with pytest.raises(
        EvidenceError, match=r"no joint run of cost_usd on bench fleet, at_trace; it has: energy_j.*is there for: no bench"
    ):
        solve(results(), wish, Bench.FLEET, OperatingPoint.AT_TRACE)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.3, 1.3), min_size=1, max_size=4), st.floats(0.02, 0.95))
def test_against_every_cell_one_by_one(factors: list[float], target: float) -> None:
    """The found cell reaches the target, and no smaller one does; impossible only if none does."""
    names = ("storage", "chiplet", "pipeline", "idle")[: len(factors)]
    layers = {n: dict.fromkeys(Component, x) for n, x in zip(names, factors, strict=True)}
    answer = ask(results(layers=layers, samples=1), target)

    sums = {}
    for m in range(1 << len(names)):
        left = 1.0
        for i, x in enumerate(factors):
            left *= x if m >> i & 1 else 1.0
        sums[m] = 1 - left
    reach = [m.bit_count() for m, s in sums.items() if s >= target]
    assert (answer.outcome is Outcome.FOUND) == bool(reach)
    if reach:
        assert len(answer.cell.layers) == min(reach)
    else:
        assert answer.shortfalls[0].further > 0
