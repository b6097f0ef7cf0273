"""The fleet's word on cells that an accelerator measured: by hand, on the shipped example, and for a recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from deltastack.contracts import DELTA
from deltastack.fleet.operators import load_tables
from deltastack.model import Bench, Component, Evidence, OperatingPoint, Resource
from deltastack.recording import predictions
from deltastack.recording.predictions import Load

ROOT = Path(__file__).parents[2]
LOAD = Load(requests=4, image_tokens=8, text_tokens=8, output_tokens=10)


def _plain(**changed: Any) -> Any:
    """Tables in which everything takes as many seconds as it has tokens, sequences or images, scaled by hand."""
    t = load_tables("Qwen/Qwen3-VL-8B-Instruct", "h100_sxm", "bf16")
    n = t.token_n.astype(float)
    gemm = np.stack([n, n, np.zeros_like(n)])
    ones = {
        "linear_s": gemm,
        "linear_gemm_s": gemm,
        "logits_s": 1e-9 * t.logits_n,
        "prefill_attention_s": np.tile(1e-9 * t.prefill_chunk[:, None], (1, t.prefill_prefix.size)),
        "decode_attention_s": 1e-9 * t.decode_batch[:, None] * t.decode_kv[None, :],
        "encoder_s": np.tile(100.0 * t.encoder_images[None, :], (t.encoder_tokens.size, 1)),
        "kv_bytes_per_token": 5.0,
    }
    return replace(t, **(ones | changed))


def test_a_session_by_hand() -> None:
    """4 requests: 4 images at 100 s, 2 x (2 x 16 + 2 x 8) s of prompts, 10 steps of 2 x 4 s."""
    t = _plain()
    assert predictions.session_s(t, LOAD) == pytest.approx(400 + 96 + 80, rel=1e-6)
    assert predictions.session_s(t, LOAD, skip=True) == pytest.approx(200 + 96 + 80, rel=1e-6)
    half = predictions.session_s(t, LOAD, restored=(2.0, 3.0))
    assert half == pytest.approx(200 + 48 + 80 + (16 + 8) * 5 / 2 + 3, rel=1e-6)
    doubled = predictions.session_s(t, LOAD, factor=np.full(t.token_n.size, 2.0))
    assert doubled == pytest.approx(400 + 192 + 160, rel=1e-6)


def test_beyond_the_grid_time_goes_in_proportion() -> None:
    """Twice the last number of tokens takes twice as long; nothing takes nothing."""
    grid, seconds = np.array([1, 10]), np.array([1.0, 5.0])
    assert predictions._between(grid, seconds, 20) == pytest.approx(10)
    assert predictions._between(grid, seconds, 0) == 0
    assert predictions._between(grid, seconds, 10**0.5) == pytest.approx(5**0.5)


def test_the_shipped_example_stands_beside_the_fleet() -> None:
    """Every cell has a prediction; what was measured has an error; a cell that was not has none, and says so."""
    found = {b.cell: b for b in predictions.example(ROOT)}
    assert set(found) == set(predictions.CELLS)
    assert found["sparse_24"].measured is None
    assert found["sparse_24"].error is None
    assert "not this cell" in found["sparse_24"].source
    fp8 = found["fp8_tensor"]
    assert fp8.error == pytest.approx(fp8.predicted - 0.256)
    assert "2026-11-26" in fp8.source


def test_a_saving_is_what_the_base_takes_longer() -> None:
    """1 - changed / base, of the same tables: skipping the encoder and restoring save, and by as much as the seconds say."""
    model, load = "Qwen/Qwen3-VL-8B-Instruct", predictions.Load(16, 1024, 512, 128)
    plain, small = (load_tables(model, "h100_sxm", p) for p in ("bf16", "fp8"))
    base = predictions.session_s(plain, load)
    found = predictions.savings(model, "h100_sxm", load, ROOT)

    assert found["encoder_skip"] == pytest.approx(1 - predictions.session_s(plain, load, skip=True) / base)
    assert found["fp8_tensor"] == pytest.approx(1 - predictions.session_s(small, load) / base)
    assert 0 < found["encoder_skip"] < found["fp8_tensor"] < 1


def _recording(device: str, shape: str = "qwen3_vl_8b") -> Any:
    head = ("instruction_set", "fp8_tensor", Bench.ACCELERATOR, OperatingPoint.PER_SESSION)
    rows = [
        (*head, r, c, Resource.TIME_S, 2.0, x, Evidence.MEASURED, None, "h", True)
        for r, x in enumerate((1.0, 1.2))
        for c in (Component.OTHER, Component.ENCODER)
    ]
    versions = {"shape": shape, "load": '{"requests":16,"image_tokens":1024,"text_tokens":512,"output_tokens":128}'}
    manifest = SimpleNamespace(bench=Bench.ACCELERATOR, device=device, recorded_at="2026-12-01T00:00:00Z", versions=versions)
    return SimpleNamespace(manifest=manifest, tables={"delta/instruction_set": DELTA.frame(rows)})


def test_a_recording_is_read_with_its_interval() -> None:
    """The saving is of the sum over components, in logs over blocks; a board or model that the fleet has not gives nothing."""
    (fp8,) = [b for b in predictions.beside(_recording("NVIDIA H100 80GB HBM3"), ROOT) if b.cell == "fp8_tensor"]
    assert fp8.measured is not None
    assert fp8.measured.value == pytest.approx(1 - (0.5 * 0.6) ** 0.5)
    assert fp8.measured.low is not None
    assert fp8.measured.low < fp8.measured.value
    assert "2026-12-01" in fp8.source
    assert predictions.beside(_recording("cpu"), ROOT) == ()
    assert predictions.beside(_recording("NVIDIA H100 80GB HBM3", "tiny"), ROOT) == ()


@pytest.mark.parametrize("text", ["techniques: {}", "[]", "techniques: {kv_tier: {params: {latency_s: {value: 1}}}}", None])
def test_a_checkout_without_these_parameters_has_nothing_beside(tmp_path: Path, text: str | None) -> None:
    """A layer of one's own values, or none: no line, and no traceback on the page."""
    (tmp_path / "params/layers").mkdir(parents=True)
    if text is not None:
        (tmp_path / "params/layers/storage.yaml").write_text(text)

    assert predictions.example(tmp_path) == ()
