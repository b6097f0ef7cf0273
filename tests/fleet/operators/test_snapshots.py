"""Operator tables: what ships, what it says of itself, what is refused, and the file format."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from deltastack.errors import EvidenceError, UnknownNameError
from deltastack.fleet import accelerator
from deltastack.fleet.operators import Known, Source, known, load_tables, snapshot

ROOT = Path(__file__).parents[3]
QWEN = ("Qwen/Qwen3-VL-8B-Instruct", "h100_sxm", "bf16")


def test_what_ships() -> None:
    """Four sizes on four platforms in bf16 and fp8, fp4 where it was measured, and the text models of the calibration."""
    have = set(known())

    for size in ("2B", "4B", "8B"):
        for where in ("h100_sxm", "h200_sxm", "b200_sxm", "l40s"):
            assert {Known(f"Qwen/Qwen3-VL-{size}-Instruct", where, q, 1) for q in ("bf16", "fp8")} <= have
    assert Known("Qwen/Qwen3-VL-32B-Instruct", "h100_sxm", "bf16", 2) in have
    assert Known("Qwen/Qwen3-VL-8B-Instruct", "b200_sxm", "nvfp4", 1) in have
    assert Known("meta-llama/Llama-3.1-70B-Instruct", "h100_sxm", "bf16", 4) in have


def test_facts_of_one_model() -> None:
    """Qwen3-VL-8B: 36 layers of width 4096, 147,456 B of KV a token, 16.4 GB and 1.14 GB of weights, 256K context."""
    t = load_tables(*QWEN)

    assert (t.layers, t.hidden_size, t.context_limit_tokens) == (36, 4096, 262_144)
    assert t.kv_bytes_per_token == 147_456
    assert t.weight_bytes == pytest.approx(16.38e9, rel=0.01)
    assert t.encoder_weight_bytes == pytest.approx(1.143e9, rel=0.01)
    assert t.multimodal
    assert "aiconfigurator-core 0.12.0" in t.provenance["tool"]
    assert t.provenance["licence"] == "Apache-2.0"


@pytest.mark.parametrize("which", known(), ids=lambda k: "-".join(map(str, k)))
def test_every_snapshot_holds(which: Known) -> None:
    """Shapes meet their grids, grids increase, times are positive and finite, every value has a source."""
    t = load_tables(*which)

    shapes = {
        "linear_s": (3, t.token_n.size),
        "linear_gemm_s": (3, t.token_n.size),
        "logits_s": t.logits_n.shape,
        "prefill_attention_s": (t.prefill_chunk.size, t.prefill_prefix.size),
        "decode_attention_s": (t.decode_batch.size, t.decode_kv.size),
        "encoder_s": (t.encoder_tokens.size, t.encoder_images.size),
    }
    for name, shape in shapes.items():
        values = getattr(t, name)
        assert values.shape == shape
        assert np.isfinite(values).all()
        assert (values >= 0).all()
        assert t.sources[name].shape == shape
        assert set(np.unique(t.sources[name])) <= {int(s) for s in Source}
    for grid in (t.token_n, t.logits_n, t.prefill_chunk, t.prefill_prefix, t.decode_batch, t.decode_kv):
        assert (np.diff(grid) > 0).all()
    assert (t.linear_gemm_s <= t.linear_s + 1e-12).all()
    assert (t.linear_s[:2].sum(axis=0) > 0).all()


def test_more_work_takes_longer_at_scale() -> None:
    """A thousand times the tokens, sequences, context or images take longer; a decode step at batch 1 reads all weights."""
    t = load_tables(*QWEN)

    assert t.linear_s[:, -1].sum() > 100 * t.linear_s[:, 0].sum() / 20
    assert (t.prefill_attention_s[-1] > t.prefill_attention_s[0]).all()
    assert (t.decode_attention_s[-1] > t.decode_attention_s[0]).all()
    assert (t.encoder_s[-1] > t.encoder_s[0]).all()
    bound_s = t.weight_bytes / 3.35e12
    assert bound_s <= t.linear_s[:, 0].sum() + t.logits_s[0] <= 2 * bound_s


def test_fp8_is_quicker_than_bf16_at_batch_one() -> None:
    """Half of the bytes: between 1.3 and 2.2 times as quick (and not the slower block-scaled kernel)."""
    bf16, fp8 = (load_tables(*QWEN[:2], q) for q in ("bf16", "fp8"))

    assert 1.3 <= bf16.linear_s[:, 0].sum() / fp8.linear_s[:, 0].sum() <= 2.2
    assert fp8.weight_bytes < 0.65 * bf16.weight_bytes


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (("Qwen/Qwen9", "h100_sxm", "bf16", 1), "no operator times for model 'Qwen/Qwen9'; there are: Qwen/Qwen3-14B"),
        (("Qwen/Qwen3-VL-8B-Instruct", "tpu", "bf16", 1), "for platform 'tpu'; there are: b200_sxm"),
        (("Qwen/Qwen3-VL-8B-Instruct", "h100_sxm", "int3", 1), "for precision 'int3'"),
        (("Qwen/Qwen3-VL-8B-Instruct", "h100_sxm", "nvfp4", 1), "on that platform this model has: bf16 x 1, fp8 x 1"),
        (("Qwen/Qwen3-VL-8B-Instruct", "a100_sxm", "bf16", 1), "visual encoders was never measured"),
    ],
)
def test_unknown_combinations_say_what_there_is(wanted: tuple[str, str, str, int], words: str) -> None:
    """The message names the first word that nothing matches, or what the model does have."""
    with pytest.raises(UnknownNameError) as error:
        load_tables(*wanted)

    assert words in str(error.value)


def test_a_snapshot_is_read_back_and_is_reproducible(tmp_path: Path) -> None:
    """Saved twice the bytes are equal; read back the tables are equal to 32-bit precision."""
    t = load_tables(*QWEN)
    snapshot.save(t, tmp_path / "a.npz")
    snapshot.save(t, tmp_path / "b.npz")
    again = snapshot.load(tmp_path / "a.npz")

    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    for field in fields(t):
        if isinstance(getattr(t, field.name), np.ndarray):
            assert getattr(again, field.name) == pytest.approx(getattr(t, field.name), rel=1e-6)


def test_what_is_no_snapshot_is_refused(tmp_path: Path) -> None:
    """A missing file, a truncated one, and another format."""
    with pytest.raises(EvidenceError, match="no operator snapshot"):
        snapshot.load(tmp_path / "absent.npz")
    snapshot.save(load_tables(*QWEN), tmp_path / "a.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:5000])
    with pytest.raises(EvidenceError, match="is no operator snapshot"):
        snapshot.load(tmp_path / "cut.npz")
    np.savez(tmp_path / "other.npz", text=np.frombuffer(b'{"format": "x"}', dtype=np.uint8))
    with pytest.raises(EvidenceError, match="is not of format"):
        snapshot.load(tmp_path / "other.npz")


def test_every_platform_file_holds() -> None:
    """All described platforms load; an unknown one and an unknown arithmetic say what there is."""
    for name in accelerator.platforms(ROOT):
        found = accelerator.load(ROOT, name)
        assert found.name == name
        assert found.peak("bf16") > 1e14
    with pytest.raises(UnknownNameError, match="there are: a100_sxm"):
        accelerator.load(ROOT, "tpu")
    with pytest.raises(UnknownNameError, match="it has: bf16"):
        accelerator.load(ROOT, "a100_sxm").peak("fp8")
