"""What may be said: A/A intervals contain zero, planted differences are recovered, what lies in the noise is not resolved."""

from __future__ import annotations

import math

import pytest

from deltastack import statistics
from deltastack.errors import EvidenceError
from deltastack.experiment.ledger import Entry
from deltastack.experiment.meter import Quantity, Reading
from deltastack.experiment.plan import Kind, Plan, Slot
from deltastack.experiment.run_plan import compare
from deltastack.testbed import findings
from tests.fakes import FakeRunner

QUIET = {q: Reading(None, "none", "not in this test") for q in Quantity}


def runs(seed: int, factors: dict[str, float], *, sd_log: float = 0.06, drift_log: float = 0.0) -> tuple[Entry, ...]:
    """A whole experiment of two starts and six pairs with lognormal noise, a planted factor a cell, and a linear drift."""
    plan = Plan(cells=("base", "base@aa", *factors), starts=2, block_pairs=6, seed=seed)
    found = []
    for n, slot in enumerate(plan.slots()):
        if slot.kind is Kind.WARM_UP:
            continue
        runner = FakeRunner(1000 * seed + n, factors, sd_log)
        value = (runner(slot).readings[Quantity.CPU_S].value or math.nan) * math.exp(drift_log * n)
        readings = QUIET | {Quantity.CPU_S: Reading(value, "fake"), Quantity.WALL_S: Reading(value, "fake")}
        found.append(Entry(slot=slot, readings=readings, components={}, quality={}))
    return tuple(found)


def test_an_a_a_run_contains_zero_in_93_of_100() -> None:
    """Of 100 simulated A/A experiments at least 93 intervals at 95 % contain 0 (binomial: 95 +/- 2.2 expected)."""
    found = [compare(runs(seed, {}), "base@aa", "base", Quantity.CPU_S) for seed in range(100)]

    assert sum(f.low <= 0 <= f.high for f in found) >= 93


def test_a_planted_slowdown_is_recovered() -> None:
    """A cell that spends 20 % more loses 20 %: its interval holds -0.20 in at least 93 of 100, and the word is costs."""
    hits = 0
    for seed in range(100):
        entries = runs(seed, {"slow": 1.2})
        delta = compare(entries, "slow", "base", Quantity.CPU_S)
        hits += delta.low <= -0.2 <= delta.high
    (verdict,) = [v for v in findings.verdicts(entries, ("slow",), findings.floors(entries)) if v.quantity is Quantity.CPU_S]

    assert hits >= 93
    assert verdict.words == "costs"


def test_a_linear_drift_does_not_bias() -> None:
    """One per cent more with every run, without noise: both halves of every pair cancel it exactly, and it is reported."""
    entries = runs(3, {"same": 1.0}, sd_log=1e-9, drift_log=0.01)

    delta = compare(entries, "same", "base", Quantity.CPU_S)
    moved = findings.drift(entries)

    assert delta.delta == pytest.approx(0, abs=1e-6)
    assert moved is not None
    assert moved[1]


def test_inside_the_floor_nothing_is_resolved() -> None:
    """A saving of 0.1 % under 6 % noise is not resolved; 30 % is; the floor says how many pairs 1 % would take."""
    entries = runs(5, {"tiny": 0.999, "big": 0.7})
    floors = findings.floors(entries)
    words = {v.cell: v.words for v in findings.verdicts(entries, ("tiny", "big"), floors) if v.quantity is Quantity.CPU_S}
    floor = floors[Quantity.CPU_S]
    needs = findings.needs(floor, pair_s=2.0)

    assert words == {"tiny": "not resolved", "big": "saves"}
    assert [n.delta for n in needs] == [0.05, 0.02, 0.01]
    assert all(statistics.minimum_detectable_delta(floor.sd_log, n.pairs) <= n.delta for n in needs)
    assert needs[0].pairs < needs[1].pairs < needs[2].pairs
    assert needs[2].minutes == pytest.approx(needs[2].pairs * 2 / 60)


def test_the_floor_has_the_sign_of_a_saving() -> None:
    """By hand: the twin spends e^-0.1 and e^-0.3 of the base in two pairs, so the floor's Δ is 1 - e^-0.2."""
    amounts = {("base", 0): 1.0, ("base@aa", 0): math.exp(-0.1), ("base", 1): 1.0, ("base@aa", 1): math.exp(-0.1)}
    amounts |= {("base", 2): 1.0, ("base@aa", 2): math.exp(-0.3), ("base", 3): 1.0, ("base@aa", 3): math.exp(-0.3)}
    entries = tuple(
        Entry(
            slot=Slot(start=0, block=b, position=0, cell=c, kind=Kind.RUN),
            readings=QUIET | {Quantity.CPU_S: Reading(a, "hand")},
            components={},
            quality={},
        )
        for (c, b), a in amounts.items()
    )

    floor = findings.floors(entries)[Quantity.CPU_S]

    assert floor.delta == pytest.approx(1 - math.exp(-0.2))
    assert floor.pairs == 2
    with pytest.raises(EvidenceError, match="no run was timed"):
        findings.pair_s(entries)


def test_starts_that_differ_are_the_units_of_the_floor() -> None:
    """By hand: pairs near +0.1 in one start and near -0.1 in the other. The floor's Δ is near 0 over 2 starts, and wide."""
    ratios = {0: (0.10, 0.101, 0.099), 1: (-0.10, -0.101, -0.099)}
    entries = tuple(
        Entry(
            slot=Slot(start=start, block=2 * n + half, position=0, cell=cell, kind=Kind.RUN),
            readings=QUIET | {Quantity.CPU_S: Reading(math.exp(r if cell == "base@aa" else 0.0), "hand")},
            components={},
            quality={},
        )
        for start, rs in ratios.items()
        for n, r in enumerate(rs)
        for half in (0, 1)
        for cell in ("base", "base@aa")
    )

    floor = findings.floors(entries)[Quantity.CPU_S]

    assert floor.pairs == 2
    assert floor.delta == pytest.approx(0, abs=1e-9)
    assert floor.half_width > 1
    assert findings.per_unit(entries, floor, Quantity.CPU_S) == 3
    assert findings.needs(floor, 2.0, 3)[0].pairs == 3 * findings.needs(floor, 2.0)[0].pairs


def test_a_quantity_that_was_not_read_says_why() -> None:
    """Instructions without a counter have no verdict but the counter's reason."""
    entries = runs(1, {})

    found = findings.verdicts(entries, ("base@aa",), findings.floors(entries))

    (instructions,) = [v for v in found if v.quantity is Quantity.INSTRUCTIONS]
    assert (instructions.nested, instructions.words) == (None, "not in this test")
