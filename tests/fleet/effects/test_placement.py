"""Layers on several dies: by hand, one die, the bubble, both regimes, limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import OutOfValidityError
from deltastack.fleet.deployment import Deployment, Placement, Schedule
from deltastack.fleet.effects import placement
from deltastack.fleet.operators import load_tables
from tests.fakes import fake_tables

QWEN = load_tables("Qwen/Qwen3-VL-8B-Instruct", "h100_sxm", "bf16")
TIMES = ("linear_s", "linear_gemm_s", "logits_s", "prefill_attention_s", "decode_attention_s", "encoder_s")


def deployment(placed: Placement) -> Deployment:
    """Something that serves, its layers placed."""
    return Deployment(model=QWEN.model, platform="h100_sxm", placement=placed)


def test_by_hand() -> None:
    """Times 1 s at 1 token and 2 s at 2; two dies, two micro-batches: max(2, 2) x t(1) = 2 s at 2 tokens, and 2 hops.

    A hop is 0.1 s and 1 token x 4096 x 2 B at 81,920 B/s = 0.1 s: 2 x 0.2 s more, in the last row.
    """
    tables = replace(fake_tables(), token_n=np.array([1, 2]), linear_s=np.ones((3, 1)) * [[1.0, 2.0]])
    tables = replace(tables, linear_gemm_s=tables.linear_s)
    found = placement.tables(tables, deployment(Placement(dies=2, micro_batches=2, hop_s=0.1, link_bytes_per_s=81_920.0)))

    assert found.linear_s[:, 1] == pytest.approx([2.0, 2.0, 2.4])
    assert found.linear_gemm_s[:, 1] == pytest.approx([2.0, 2.0, 2.0])


def test_one_die_is_the_accelerator() -> None:
    """With p = m = 1 every table is the same, exactly, whatever the link (negative control)."""
    placed = Placement(dies=1, micro_batches=1, hop_s=1.0, link_bytes_per_s=1.0)
    found = placement.tables(QWEN, deployment(placed))

    assert all((getattr(found, k) == getattr(QWEN, k)).all() for k in TIMES)


def slow_pipeline(dies: int, micro_batches: int, steps: int) -> int:
    """Turns that ``steps`` steps take in the steady state, one die and one micro-batch at a time.

    A die serves one micro-batch a turn, oldest first; a micro-batch goes through all dies for one token, then starts again.
    """
    free, ready = [0] * dies, [0] * micro_batches
    ends = []
    for _ in range(steps):
        for batch in range(micro_batches):
            at = ready[batch]
            for die in range(dies):
                at = free[die] = max(at, free[die]) + 1
            ready[batch] = at
        ends.append(ready[0])
    return ends[-1] - ends[-2]


@given(st.integers(1, 16), st.integers(1, 32))
def test_the_bubble(dies: int, micro_batches: int) -> None:
    """1 - m / max(m, p), within 0..1, none from m = p on; the slow loop takes max(m, p) turns a step."""
    found = placement.bubble(dies, micro_batches)

    assert slow_pipeline(dies, micro_batches, 4) == max(micro_batches, dies)
    assert found == pytest.approx(1 - micro_batches / slow_pipeline(dies, micro_batches, 4))
    assert 0 <= found < 1
    assert placement.bubble(dies, micro_batches + 1) <= found
    assert placement.bubble(dies, dies) == 0


def test_a_filled_pipeline_waits_for_nothing_and_weights_are_read_again() -> None:
    """Four dies, four micro-batches: 8192 tokens take as long as before within 8 %, 4 tokens four times as long.

    With one micro-batch three of four dies wait: both take four times as long.
    """
    filled, empty = (
        placement.tables(QWEN, deployment(Placement(dies=4, micro_batches=m, link_bytes_per_s=1e12))) for m in (4, 1)
    )
    many, few = (int(np.searchsorted(QWEN.token_n, n)) for n in (8192, 4))
    ratio, alone = (t.linear_s.sum(axis=0) / QWEN.linear_s.sum(axis=0) for t in (filled, empty))

    assert ratio[many] == pytest.approx(1.0, rel=0.08)
    assert ratio[few] == pytest.approx(4.0, rel=0.06)
    assert alone[[few, many]] == pytest.approx([4.0, 4.0], rel=0.06)


def test_refusals() -> None:
    """No die, more dies than layers, dies without a link, attention and feed-forward apart."""
    for placed, words in (
        (Placement(dies=0), "at least one die"),
        (Placement(dies=37, link_bytes_per_s=1.0), "37 dies for 36 layers"),
        (Placement(dies=2), "link_bytes_per_s above 0"),
    ):
        with pytest.raises(OutOfValidityError, match=words):
            placement.tables(QWEN, deployment(placed))
    apart = replace(deployment(Placement(dies=2, link_bytes_per_s=1.0)), schedule=Schedule(kind="disaggregated"))
    with pytest.raises(OutOfValidityError, match="of their own"):
        placement.tables(QWEN, apart)
