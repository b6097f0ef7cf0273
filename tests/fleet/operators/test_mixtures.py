"""Mixtures of experts: what one of the accelerators that share the experts holds, and what its tokens meet of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deltastack.fleet import accelerator
from deltastack.fleet.operators import tables_for

ROOT = Path(__file__).parents[3]
LARGE, SMALL = "Qwen/Qwen3-VL-235B-A22B-Instruct", "Qwen/Qwen3-VL-30B-A3B-Instruct"


def held_bytes(layers: int, hidden: int, heads: int, experts: int, expert_weights: int) -> int:
    """Weights in 16 bits, 4 key-value heads: attention and router whole, ``experts`` of 128, both ends of 151,936 words."""
    attention = hidden * (heads + 2 * 4) * 128 + heads * 128 * hidden
    return 2 * (layers * (attention + hidden * 128 + experts * expert_weights) + 2 * 151_936 * hidden)


def test_experts_are_shared_by_eight_and_attention_is_not() -> None:
    """Qwen3-VL-235B, by hand: 16 of 128 experts and all of attention are 72.77 GB; 8 x 8 of 128 is a half."""
    tables = tables_for(LARGE, accelerator.load(ROOT, "h200_sxm"), "bf16", 1)

    sizes = held_bytes(layers=94, hidden=4096, heads=64, experts=16, expert_weights=3 * 4096 * 1536)
    assert sizes == 72_766_980_096
    assert tables.weight_bytes == sizes
    assert tables.kv_bytes_per_token == 94 * 2 * 4 * 128 * 2
    assert (tables.expert_parallel, tables.ffn_active) == (8, 8 * 8 / 128)


def test_a_mixture_on_one_accelerator_holds_every_expert() -> None:
    """Qwen3-VL-30B, by hand: all 128 experts are 61.06 GB, and a token meets 8 of 128."""
    tables = tables_for(SMALL, accelerator.load(ROOT, "gb200"), "bf16", 1)

    sizes = held_bytes(layers=48, hidden=2048, heads=32, experts=128, expert_weights=3 * 2048 * 768)
    assert sizes == 61_063_823_360
    assert tables.weight_bytes == sizes
    assert (tables.expert_parallel, tables.ffn_active) == (1, 8 / 128)


def test_a_dense_model_meets_all_of_its_weights() -> None:
    """Qwen3-VL-8B has no experts: every token meets all that the accelerator holds."""
    tables = tables_for("Qwen/Qwen3-VL-8B-Instruct", accelerator.load(ROOT, "h100_sxm"), "bf16", 1)

    assert (tables.expert_parallel, tables.ffn_active) == (1, 1.0)


def test_the_adapter_takes_a_mixture_s_operators_for_what_they_are() -> None:
    """The experts, their dispatch and their return are feed-forward; the bytes by operator are those worked by hand."""
    pytest.importorskip("aiconfigurator_core", reason="extra [operators] is not installed")
    from deltastack.fleet.operators import aiconfigurator as adapter
    from deltastack.model import Component

    opened = adapter.open_engine(LARGE, "h200_sxm", "bf16", 1)
    by_name = {op: one.get_weights() for op, one in zip(opened.names, opened.model.context_ops, strict=True)}
    feed_forward = {opened.names[i] for i in opened.indices(Component.FFN)}

    assert feed_forward == {"add_norm_2", "router_gemm", "moe_pre_dispatch", "moe", "moe_post_dispatch"}
    assert by_name["moe"] == 16 * 3 * 4096 * 1536 * 94 * 2
    assert by_name["qkv_gemm"] == 4096 * 72 * 128 * 94 * 2
    assert [adapter.is_mixture(m) for m in (LARGE, SMALL, "Qwen/Qwen3-VL-8B-Instruct")] == [True, True, False]
