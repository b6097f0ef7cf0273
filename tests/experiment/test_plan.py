"""The plan: complete blocks, A-B-B-A order, control, and refusals."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import ParamsError
from deltastack.experiment.plan import Kind, Plan, distinct, plain


def test_by_hand() -> None:
    """Two cells, one pair of blocks: warm-up twice, then x y y x, then the first cell as control."""
    slots = Plan(cells=("base", "idle"), starts=1, block_pairs=1, seed=3).slots()

    kinds = [s.kind for s in slots]
    order = [s.cell for s in slots if s.kind is Kind.RUN]
    assert kinds == [Kind.WARM_UP] * 2 + [Kind.RUN] * 4 + [Kind.CONTROL]
    assert order in (["base", "idle", "idle", "base"], ["idle", "base", "base", "idle"])
    assert slots[-1].cell == "base"


plans = st.builds(
    Plan,
    cells=st.integers(1, 6).map(lambda k: tuple(f"c{i}" for i in range(k))),
    starts=st.integers(1, 3),
    block_pairs=st.integers(1, 4),
    warm_ups=st.integers(0, 2),
    seed=st.integers(0, 99),
    repeats=st.integers(1, 3).map(lambda n: (("c0", n),)),
)


@given(plans)
def test_blocks_are_complete_and_pairs_are_palindromes(plan: Plan) -> None:
    """Every block holds every cell once, or as often as its repeats say; the second block of a pair is the first reversed."""
    for start in range(plan.starts):
        runs = [s for s in plan.start_slots(start) if s.kind is Kind.RUN]
        blocks = [[s.cell for s in runs if s.block == b] for b in range(2 * plan.block_pairs)]
        assert all(Counter(b) == Counter(plan.cells) + Counter({"c0": dict(plan.repeats)["c0"] - 1}) for b in blocks)
        assert all(blocks[i] == blocks[i + 1][::-1] for i in range(0, len(blocks), 2))


@given(plans)
def test_a_linear_drift_cancels_in_every_pair(plan: Plan) -> None:
    """Averaged over a pair, every cell runs at the same mean time: a linear drift has no effect on a ratio."""
    runs = [s for s in plan.start_slots(0) if s.kind is Kind.RUN]
    instants: dict[tuple[int, str], list[int]] = {}
    for i, s in enumerate(runs):
        instants.setdefault((s.block // 2, s.cell), []).append(i)

    for pair in range(plan.block_pairs):
        assert len({Fraction(sum(v), len(v)) for (p, _), v in instants.items() if p == pair}) == 1


def test_repeats_by_hand() -> None:
    """Base twice, idle once: a block has three runs, its twin the same ones reversed; only what is named warms up."""
    plan = Plan(cells=("base", "idle"), starts=1, block_pairs=1, repeats=(("base", 2),), warm=("base",), seed=3)
    slots = plan.start_slots(0)

    runs = [s.cell for s in slots if s.kind is Kind.RUN]
    assert [s.cell for s in slots if s.kind is Kind.WARM_UP] == ["base"]
    assert sorted(runs[:3]) == ["base", "base", "idle"]
    assert runs[3:] == runs[:3][::-1]


@given(plans)
def test_slots_are_unique_and_reproducible(plan: Plan) -> None:
    """The same plan gives the same slots, and no key twice."""
    keys = [s.key for s in plan.slots()]

    assert len(set(keys)) == len(keys)
    assert keys == [s.key for s in plan.slots()]


def test_starts_have_their_own_order() -> None:
    """Different process starts run their blocks in different orders."""
    plan = Plan(cells=tuple("abcdef"), starts=4, block_pairs=1)

    orders = {tuple(s.cell for s in plan.start_slots(i) if s.kind is Kind.RUN) for i in range(4)}
    assert len(orders) > 1


def test_a_plan_that_measures_nothing_is_refused_with_all_reasons() -> None:
    """No cell and no block are both named."""
    with pytest.raises(ParamsError, match=r"no cell; starts=0"):
        Plan(cells=(), starts=0, block_pairs=0)
    with pytest.raises(ParamsError, match="a cell twice in base, base"):
        Plan(cells=("base", "base"), starts=1, block_pairs=1)
    with pytest.raises(ParamsError, match="of cells of the plan, at least once"):
        Plan(cells=("base",), starts=1, block_pairs=1, repeats=(("idle", 2),))


def test_an_aa_pair_gets_two_names() -> None:
    """Base twice becomes base and base@aa; both are the cell base."""
    names = distinct(["base", "base", "base", "idle"])

    assert names == ("base", "base@aa", "base@aa3", "idle")
    assert [plain(n) for n in names] == ["base", "base", "base", "idle"]


def test_a_tail_runs_last_and_a_pair_may_span_two_starts() -> None:
    """One block a start: the second start runs the first one's order backwards; in each part, the tail after the head."""
    plan = Plan(
        cells=("base", "a", "b", "c", "d"), starts=2, block_pairs=1, repeats=(("base", 2),), paired=False, tail=("c", "d")
    )
    first, second = ([s.cell for s in plan.start_slots(start) if s.kind is Kind.RUN] for start in range(2))
    assert sorted(first[:4]) == ["a", "b", "base", "base"]
    assert sorted(first[4:]) == ["base", "c", "d"]
    assert second == first[:4][::-1] + first[4:][::-1]
    assert (len(plan.head), len(plan.block)) == (4, 7)
