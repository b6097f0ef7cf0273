"""Operator times of accelerators that nobody measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deltastack.errors import UnknownNameError
from deltastack.fleet import accelerator
from deltastack.fleet.operators import Source, load_tables, roofline, tables_for

ROOT = Path(__file__).parents[3]
MODEL = "Qwen/Qwen3-VL-8B-Instruct"


def test_by_hand() -> None:
    """One token reads the feed-forward weights of the 8B model on an L4: 36 x 3 x 4096 x 12288 x 2 B and 8 KB at 300 GB/s."""
    l4 = accelerator.load(ROOT, "l4")
    found = tables_for(MODEL, l4, "bf16")

    assert found.linear_gemm_s[1, 0] == pytest.approx((36 * 3 * 4096 * 12288 * 2 + 8192) / l4.memory_bytes_per_s)
    assert found.kv_bytes_per_token == 147_456
    assert all((codes == Source.ROOFLINE).all() for codes in found.sources.values())


def test_silicon_is_slower_than_the_roof() -> None:
    """On H100 no measured product is quicker than 0.9 of the roof, and none of one token slower than 3 times."""
    h100 = accelerator.load(ROOT, "h100_sxm")
    measured = load_tables(MODEL, "h100_sxm", "bf16")
    roof = roofline.build(MODEL, h100, "bf16", 1, context_limit_tokens=measured.context_limit_tokens)
    ratio = measured.linear_gemm_s[:2] / roof.linear_gemm_s[:2]

    assert ratio.min() > 0.9
    assert ratio[:, 0].max() < 3
    assert roof.weight_bytes == pytest.approx(measured.weight_bytes, rel=0.01)
    assert roof.encoder_weight_bytes == pytest.approx(measured.encoder_weight_bytes, rel=0.02)


def test_time_grows_with_work() -> None:
    """More tokens, chunks, prefixes, batches, contexts or images never take less time."""
    found = tables_for(MODEL, accelerator.load(ROOT, "h100_pcie"), "fp8")

    for name in ("linear_s", "logits_s", "prefill_attention_s", "decode_attention_s", "encoder_s"):
        values = getattr(found, name)
        assert (np.diff(values, axis=-1) >= 0).all(), name
        assert (values > 0).all(), name


def test_what_is_refused() -> None:
    """A measured platform never falls back; an A100 with vision, a missing arithmetic and a strange model are named."""
    cases = {
        ("h100_sxm", "bf16", MODEL, 8): "no operator times for",
        ("a100_sxm", "bf16", MODEL, 1): "visual encoders was never measured",
        ("l4", "nvfp4", MODEL, 1): "l4 has no nvfp4 arithmetic",
        ("l4", "bf16", "x/y", 1): "no operator times for model 'x/y'",
    }
    for (name, precision, model, wide), words in cases.items():
        with pytest.raises(UnknownNameError, match=words):
            tables_for(model, accelerator.load(ROOT, name), precision, wide)
