"""Lanes: how a batch is cut, who waits for whom, and what an ideal machine would take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deltastack.errors import EvidenceError, OutOfValidityError
from deltastack.model import Component, Resource
from deltastack.testbed.switches import placement
from deltastack.testbed.switches.lanes import Lanes, cut
from deltastack.testbed.switches.replay import least_micro_batches, replay
from deltastack.testbed.switches.settings import Lanes as LaneValues
from tests.testbed import tiny
from tests.testbed.switches.cases import switch_on

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_replay_by_hand() -> None:
    """A1 A2 on one lane, F1 F2 on the other, 2 s each: 8 s of work take 6 s; with hops of 1 s, 7 s; the bound is 4 s."""
    rows = [[("A", 2.0), ("F", 2.0)], [("A", 2.0), ("F", 2.0)]]

    assert replay(rows).makespan_s == 6
    assert replay(rows).speed_up == pytest.approx(8 / 6)
    assert replay(rows, hop_s=1).makespan_s == 7
    assert replay(rows).bound_s == 4
    assert replay([[("A", 2.0)], []]).makespan_s == 2
    with pytest.raises(EvidenceError, match="nothing to replay"):
        replay([[], []])


visits = st.lists(st.tuples(st.sampled_from("AFX"), st.floats(0.01, 10)), min_size=1, max_size=8)


@given(st.lists(visits, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_replay_is_between_its_bounds(rows: list[list[tuple[str, float]]]) -> None:
    """Never quicker than the busiest lane or the longest row, never slower than one core."""
    found = replay(rows)

    assert found.bound_s - 1e-9 <= found.makespan_s <= found.work_s + 1e-9


def test_micro_batches_by_hand() -> None:
    """Equal times and a transfer of half of one: 2 (1 + 1/2) = 3. No transfer: 2. Unequal 3:1, no transfer: 4/3, so 2."""
    assert least_micro_batches(attention_s=1, ffn_s=1, transfer_s=0.5) == 3
    assert least_micro_batches(attention_s=1, ffn_s=1, transfer_s=0) == 2
    assert least_micro_batches(attention_s=3, ffn_s=1, transfer_s=0) == 2
    with pytest.raises(EvidenceError, match="times must be positive"):
        least_micro_batches(attention_s=0, ffn_s=1, transfer_s=0)


@given(st.floats(0.1, 5), st.floats(0.1, 5), st.floats(0, 3))
@settings(max_examples=40, deadline=None)
def test_the_rule_is_what_replay_needs(attention_s: float, ffn_s: float, transfer_s: float) -> None:
    """With as many micro-batches as the rule asks for, sixty layers take what the busier lane does, and one filling."""
    m = least_micro_batches(attention_s=attention_s, ffn_s=ffn_s, transfer_s=transfer_s)
    layers = 60
    row = [("A", attention_s), ("F", ffn_s)] * layers
    full = replay([row] * m, hop_s=transfer_s)
    busiest = m * layers * max(attention_s, ffn_s)

    assert full.makespan_s <= busiest + 3 * (attention_s + ffn_s + 2 * transfer_s) + m * max(attention_s, ffn_s)


@pytest.mark.parametrize(("rows", "parts"), [(4, [2, 2]), (3, [1, 2]), (1, [1])])
def test_cut_by_hand(rows: int, parts: list[int], tmp_path: Path) -> None:
    """Four requests in two are two and two, three are one and two, one is not cut; nothing is lost or reordered."""
    image, *_ = tiny.session(tiny.engine("llava", tmp_path), rows=rows)
    found = cut(image, 2)

    assert [len(p.prompts) for p in found] == parts
    assert torch.equal(torch.cat([p.prompts for p in found]), image.prompts)


def test_placements_combine_into_one_lane_tuple(tmp_path: Path) -> None:
    """Layer placement and attention-FFN separation together visit four lanes; each alone two; the free ones one each."""
    engine = tiny.engine("llava", tmp_path)
    batch = tiny.session(engine)[:1]
    values = LaneValues(lanes=2, micro_batches=2)

    def lanes(*names: str) -> set[object]:
        import contextlib

        with contextlib.ExitStack() as stack:
            for name in names:
                stack.enter_context(switch_on(name, engine, values))
            engine.run(batch)
            runner = engine.serving.runner
            assert isinstance(runner, Lanes)
            assert len(runner.trace) == 1
            assert len(runner.trace[0]) == 2
            return {lane for visits in runner.trace[0] for lane, _ in visits}

    assert lanes("attention_ffn") == {("attention",), ("ffn",)}
    assert lanes("layer_placement") == {("chiplet_0",), ("chiplet_1",)}
    assert lanes("attention_ffn", "layer_placement") == {(a, f"chiplet_{i}") for a in ("attention", "ffn") for i in (0, 1)}
    with placement.free_lanes(engine):
        engine.run(batch)
        assert [[lane for lane, _ in v] for v in engine.serving.runner.trace[0]] == [[0], [1]]  # type: ignore[union-attr]


def test_components_still_add_up(tmp_path: Path) -> None:
    """With lanes the components sum to the session's clock within 2 %, and attention and FFN have their time."""
    engine = tiny.engine("llava", tmp_path)
    with switch_on("attention_ffn", engine, LaneValues(lanes=2, micro_batches=2)):
        outcome = engine.run(tiny.session(engine))

    assert outcome.total(Resource.TIME_S) == pytest.approx(outcome.wall_s, rel=0.02)
    assert outcome.amounts[Component.ATTENTION][Resource.TIME_S] > 0
    assert outcome.amounts[Component.FFN][Resource.TIME_S] > 0


def test_an_error_in_a_thread_is_raised_and_frees_the_lanes(tmp_path: Path) -> None:
    """A micro-batch that fails ends the session with its error; the other is not left waiting, and the next session works."""
    engine = tiny.engine("llava", tmp_path)
    image, text, _ = tiny.session(engine)
    prompts = text.prompts.clone()
    prompts[1, 0] = 10**6
    broken = text.__class__(kind=text.kind, prompts=prompts, images=None, new_tokens=2)

    with switch_on("attention_ffn", engine, LaneValues(lanes=2, micro_batches=2)):
        with pytest.raises(IndexError):
            engine.run((broken,))
        engine.run((image,))


def test_more_lanes_than_there_are_parts_are_refused(tmp_path: Path) -> None:
    """Three lanes for two decoder layers, or for attention and FFN, say what there is."""
    engine = tiny.engine("llava", tmp_path)
    three = LaneValues(lanes=3, micro_batches=3)

    with pytest.raises(OutOfValidityError, match="not applicable: 3 lanes for 2 decoder layers; at most 2"):
        switch_on("layer_placement", engine, three)
    with pytest.raises(OutOfValidityError, match="a decoder layer has two parts"):
        switch_on("attention_ffn", engine, three)
