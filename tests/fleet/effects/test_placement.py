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
    """Times 1 s at 1 token and 2 s at 2; two dies, two micro-batches: (2 + 2 - 1) x t(1) = 3 s at 2 tokens, and 3 hops.

    A hop is 0.1 s and 1 token x 4096 x 2 B at 81,920 B/s = 0.1 s: 3 x 0.2 s more, in the last row.
    """
    tables = replace(fake_tables(), token_n=np.array([1, 2]), linear_s=np.ones((3, 1)) * [[1.0, 2.0]])
    tables = replace(tables, linear_gemm_s=tables.linear_s)
    found = placement.tables(tables, deployment(Placement(dies=2, micro_batches=2, hop_s=0.1, link_bytes_per_s=81_920.0)))

    assert found.linear_s[:, 1] == pytest.approx([3.0, 3.0, 3.6])
    assert found.linear_gemm_s[:, 1] == pytest.approx([3.0, 3.0, 3.0])


def test_one_die_is_the_accelerator() -> None:
    """With p = m = 1 every table is the same, exactly, whatever the link (negative control)."""
    placed = Placement(dies=1, micro_batches=1, hop_s=1.0, link_bytes_per_s=1.0)
    found = placement.tables(QWEN, deployment(placed))

    assert all((getattr(found, k) == getattr(QWEN, k)).all() for k in TIMES)


@given(st.integers(1, 16), st.integers(1, 32))
def test_the_bubble(dies: int, micro_batches: int) -> None:
    """(p - 1) / (m + p - 1), within 0..1, less with more micro-batches (Huang et al., GPipe, NeurIPS 2019)."""
    found = placement.bubble(dies, micro_batches)

    assert found == pytest.approx((dies - 1) / (micro_batches + dies - 1))
    assert 0 <= found < 1
    assert placement.bubble(dies, micro_batches + 1) <= found


def test_arithmetic_waits_for_the_bubble_and_weights_are_read_again() -> None:
    """Four dies, four micro-batches: 8192 tokens take 1 / (1 - 3/7) of their time within 8 %, 4 tokens 7 times theirs."""
    found = placement.tables(QWEN, deployment(Placement(dies=4, micro_batches=4, link_bytes_per_s=1e12)))
    many, few = (int(np.searchsorted(QWEN.token_n, n)) for n in (8192, 4))
    ratio = found.linear_s.sum(axis=0) / QWEN.linear_s.sum(axis=0)

    assert ratio[many] == pytest.approx(1 / (1 - placement.bubble(4, 4)), rel=0.08)
    assert ratio[few] == pytest.approx(7.0, rel=0.06)


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
