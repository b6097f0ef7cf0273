"""Pruning: what is least important by hand, matrices that are really smaller, and grouped heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deltastack.errors import OutOfValidityError
from deltastack.model import Component, Resource
from deltastack.testbed import operation_count
from deltastack.testbed.switches import prune_weights, pruning
from deltastack.testbed.switches.prune_weights import CHANNELS, HEADS, Block
from deltastack.testbed.switches.settings import LowPrecision, Pruning, SparseGemm, Zeroing
from tests.testbed import tiny
from tests.testbed.switches.cases import switch_on

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.testbed.vlm.serving import Tensors

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_heads_by_hand() -> None:
    """Two heads of width 1 in a hidden width of 2: head 0 writes (3, 4) times (1, 0), norm 5; head 1 (1, 0) times (0, 2), 2."""
    weights = {"v_proj": torch.tensor([[1.0, 0.0], [0.0, 2.0]]), "o_proj": torch.tensor([[3.0, 1.0], [4.0, 0.0]])}

    assert prune_weights.head_importance(weights, 2).tolist() == pytest.approx([5.0, 2.0])


def test_channels_by_hand_and_what_is_cut() -> None:
    """Channel 0 has norms 1, 1, 1, channel 1 has 5, 2, 1: at half, channel 1 stays; gate and up lose a row, down a column."""
    tensors = {
        "m.gate_proj.weight": torch.tensor([[1.0, 0.0], [3.0, 4.0]]),
        "m.up_proj.weight": torch.tensor([[0.0, 1.0], [0.0, 2.0]]),
        "m.down_proj.weight": torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        "else": torch.ones(3),
    }

    short = {k.split(".")[1]: v for k, v in tensors.items() if "." in k}
    left = prune_weights.cut(tensors, CHANNELS, (Block("m", 2), Block("gone", 2)), 0.5)

    assert prune_weights.channel_importance(short, 2).tolist() == pytest.approx([1.0, 10.0])
    assert left["m.gate_proj.weight"].tolist() == [[3.0, 4.0]]
    assert left["m.up_proj.weight"].tolist() == [[0.0, 2.0]]
    assert left["m.down_proj.weight"].tolist() == [[0.0], [1.0]]
    assert torch.equal(left["else"], tensors["else"])
    assert tensors["m.gate_proj.weight"].shape == (2, 2)


@given(st.integers(0, 1000), st.sampled_from([1, 2, 4]), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_head_importance_equals_its_slow_twin(seed: int, heads: int, queries: int) -> None:
    """The trace formula equals the norm of the product that a head writes, formed whole, over all of its query heads."""
    chance, width, hidden = torch.Generator().manual_seed(seed), 3, 5
    v = torch.randn(heads * width, hidden, generator=chance)
    o = torch.randn(hidden, heads * queries * width, generator=chance)
    slow = []
    for g in range(heads):
        squares = 0.0
        for r in range(queries):
            q = g * queries + r
            squares += float((o[:, q * width : (q + 1) * width] @ v[g * width : (g + 1) * width]).norm() ** 2)
        slow.append(squares**0.5)

    assert prune_weights.head_importance({"v_proj": v, "o_proj": o}, heads).tolist() == pytest.approx(slow, rel=1e-5)


@given(st.integers(1, 2000), st.floats(0.01, 1))
def test_something_always_stays_and_never_more_than_there_is(units: int, share: float) -> None:
    """At least one step, at most all; whole blocks of 16 wherever the width has them; share 1 is everything."""
    for part in (HEADS, CHANNELS):
        kept = part.kept(units, share)

        assert 1 <= kept <= units
        assert part.kept(units, 1.0) == units
        if part is CHANNELS and units % 16 == 0:
            assert kept % 16 == 0


def silenced(tensors: Tensors) -> Tensors:
    """The slow twin of a cut: the second half of every layer's heads and channels writes nothing, at full size."""
    stored = dict(tensors)
    for name, w in tensors.items():
        if ".language_model." in name and name.endswith(("o_proj.weight", "down_proj.weight")):
            stored[name] = w.clone()
            stored[name][:, w.shape[1] // 2 :] = 0
    return stored


def test_a_cut_model_says_what_a_silenced_one_says(tmp_path: Path) -> None:
    """Cutting what writes nothing changes no answer: four heads in two groups; the silenced halves have no importance and go."""
    engine = tiny.grouped(tmp_path)
    batches = tiny.session(engine)

    with engine.register("reshape_hooks", "a", silenced):
        whole = engine.run(batches)
        with switch_on("head_pruning", engine, Pruning(kept=0.5)), switch_on("weight_pruning", engine, Pruning(kept=0.5)):
            less = engine.run(batches)
            done = operation_count.audit(engine, batches)
        full = operation_count.audit(engine, batches)

    for a, b in zip(whole.served, less.served, strict=True):
        torch.testing.assert_close(a.logits, b.logits, atol=1e-5, rtol=1e-5)
        assert torch.equal(a.tokens, b.tokens)
        assert b.cache_byte == pytest.approx(a.cache_byte / 2)
    assert done.operations[Component.FFN] == full.operations[Component.FFN] // 2
    assert done.operations[Component.ATTENTION] == full.operations[Component.ATTENTION] // 2
    assert done.operations[Component.ENCODER] == full.operations[Component.ENCODER]


def test_bytes_and_memory_fall_with_the_matrices(tmp_path: Path) -> None:
    """At half of the channels 2 layers of 3 x 64 x 32 weights of 4 bytes lose half of their bytes, in memory and on the disk."""
    engine = tiny.engine("llava", tmp_path)
    batches = tiny.session(engine)
    full = engine.run(batches)
    with switch_on("weight_pruning", engine, Pruning(kept=0.5)):
        less = engine.run(batches)
        held = dict(engine.residence.resident_byte)
    engine.run(batches)
    before = dict(engine.residence.resident_byte)

    half_byte = 2 * 3 * 64 * 32 * 4 // 2
    assert full.asked_byte - less.asked_byte == half_byte
    assert before[Component.FFN] - held[Component.FFN] == half_byte
    assert Resource.MEMORY_BYTE_S in less.amounts[Component.FFN]


@pytest.mark.parametrize(
    ("other", "values"), [("low_precision", LowPrecision(number="int8")), ("sparse_gemm", SparseGemm(density=0.5))]
)
def test_number_formats_are_of_what_is_left(other: str, values: LowPrecision | SparseGemm, tmp_path: Path) -> None:
    """Eight-bit codes and sparse blocks are made of the smaller matrices, and their modules say the smaller sizes."""
    engine = tiny.engine("llava", tmp_path)
    batches = tiny.session(engine)
    with switch_on(other, engine, values):
        full = engine.run(batches)
        with switch_on("weight_pruning", engine, Pruning(kept=0.5)):
            less = engine.run(batches)

    assert less.asked_byte < full.asked_byte
    assert engine.host.layers[0].mlp.gate_proj.out_features == 64  # type: ignore[union-attr]


def test_zeros_save_nothing(tmp_path: Path) -> None:
    """By hand: of 3, -1, 1, -3 (deviation 2.58) those below half of it go. The zeroed file has every byte of the full one."""
    weight = torch.tensor([[3.0, -1.0], [1.0, -3.0]])
    left = pruning.zeroed({"a.weight": weight}, ("a", "b"), 0.5)

    assert left["a.weight"].tolist() == [[3.0, 0.0], [0.0, -3.0]]
    engine = tiny.engine("llava", tmp_path)
    batches = tiny.session(engine)
    full = engine.run(batches)
    with switch_on("weight_zeroing", engine, Zeroing(below=0.5)):
        assert engine.run(batches).asked_byte == full.asked_byte


def test_other_parts_are_refused_by_name(tmp_path: Path) -> None:
    """A host whose attention has one matrix for queries, keys and values has nothing to cut: what it has is named."""
    engine = tiny.engine("llava", tmp_path)
    attention = engine.host.layers[1].self_attn
    attention.qkv = attention.q_proj  # type: ignore[union-attr]
    del attention.q_proj  # type: ignore[union-attr]

    with pytest.raises(OutOfValidityError, match="Qwen3Attention has no 'q_proj' to cut; it has: k_proj, v_proj"):
        switch_on("head_pruning", engine, Pruning(kept=0.5))
