"""Reuse of prefixes observed from block hashes, and agents that are written and read as a Mooncake trace."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import WorkloadError
from deltastack.workload import block_traces, settings
from deltastack.workload.agents import Sessions, lines, rows
from deltastack.workload.prefixes import BLOCK_TOKENS, Blocks, Reuse, reuse
from deltastack.workload.sources import Agents

ROOT = Path(__file__).parents[2]
SMALL = Sessions(
    sessions=20, hours=0.1, turns=3, tenants=2, system_tokens=1024, first_tokens=700, step_tokens=600, output_tokens=50, tool_s=20
)


def slow(found: list[Blocks]) -> Reuse:
    """The same by looking through all earlier requests for every request."""
    shares, gaps = [], []
    for i, row in enumerate(found):
        known = 0
        while known < len(row.hashes) and any(row.hashes[known] in e.hashes for e in found[:i]):
            known += 1
        if known:
            shares.append(min(known * BLOCK_TOKENS, row.prompt_tokens - 1) / row.prompt_tokens)
            gaps.append(row.time_s - max(e.time_s for e in found[:i] if row.hashes[known - 1] in e.hashes))
    return Reuse(len(shares) / len(found), float(np.mean(shares)), float(np.mean(gaps))) if shares else Reuse(0.0, 0.0, 0.0)


def test_reuse_by_hand() -> None:
    """Three requests: the second matches one block of two (half a prompt) after 4 s, the third both of the first after 10 s.

    Two of three hit; covered (512 / 1024 + 1023 / 1024) / 2; the last block matched was used 4 s and 10 s before.
    """
    found = [Blocks(0, 1024, 1, (1, 2)), Blocks(4, 1024, 1, (1, 3)), Blocks(10, 1024, 1, (1, 2))]
    assert reuse(found) == pytest.approx((2 / 3, (512 + 1023) / 2 / 1024, 7.0))


@given(
    st.lists(st.tuples(st.floats(0, 9), st.lists(st.integers(0, 4), min_size=1, max_size=4, unique=True)), min_size=1, max_size=8)
)
def test_reuse_is_that_of_the_slow_loop(drawn: list[tuple[float, list[int]]]) -> None:
    """For any hashes, in order of arrival."""
    found = [Blocks(t, 512 * len(h) + 7, 1, tuple(h)) for t, h in sorted(drawn, key=lambda d: d[0])]
    assert reuse(found) == pytest.approx(slow(found))


def test_agents_read_back_as_they_were_written() -> None:
    """Time to the millisecond, lengths and hashes; and the reader's own prefixes give the same share of covered tokens."""
    made = rows(SMALL)
    back = block_traces.blocks(lines(made))
    assert [r[1:] for r in back] == [r[1:] for r in made]
    assert [r.time_s for r in back] == pytest.approx([r.time_s for r in made], abs=5e-4)
    raw = block_traces.read(lines(made))
    assert raw.prefix_tokens is not None
    hits = raw.prefix_tokens > 0
    assert reuse(back)[:2] == pytest.approx((hits.mean(), (raw.prefix_tokens / raw.prompt_tokens)[hits].mean()))


def test_a_turn_begins_with_the_turn_before() -> None:
    """A tenant's sessions share the system prompt's two blocks and nothing else; a later turn holds an earlier one's blocks."""
    made = rows(SMALL)
    assert {r.hashes[:2] for r in made} == {(0, 1), (2, 3)}
    by_session: dict[int, list[Blocks]] = {}
    for r in made:
        by_session.setdefault(r.hashes[2], []).append(r)
    for turns in by_session.values():
        for before, after in itertools.pairwise(turns):
            assert after.hashes[: len(before.hashes)] == before.hashes
            assert after.prompt_tokens == before.prompt_tokens + SMALL.step_tokens


def test_agents_are_the_same_every_time_and_claim_no_cache() -> None:
    """Two frames are equal, prompts are as asked, and no prefix is called cached: a tier has to find them."""
    source = Agents(kind="agents", **SMALL.model_dump())
    frame = source.frame(ROOT, settings.load(ROOT))
    assert frame.equals(source.frame(ROOT, settings.load(ROOT)))
    assert frame["prefix_tokens"].isna().all()
    assert frame["prompt_tokens"].min() == SMALL.system_tokens + SMALL.first_tokens


def test_a_line_that_is_no_row_is_named() -> None:
    """The second line lacks its hashes."""
    with pytest.raises(WorkloadError, match="line 2: no Mooncake row"):
        block_traces.blocks([*lines(rows(SMALL)[:1]), '{"timestamp": 1}'])
