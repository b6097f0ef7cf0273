"""The adapter of aiconfigurator-core: its traps, and the error of the tables against the engine itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from deltastack.errors import EvidenceError, UnknownNameError
from deltastack.fleet.operators import load_tables
from deltastack.model import Component

pytest.importorskip("aiconfigurator_core", reason="extra [operators] is not installed")
from deltastack.fleet.operators import aiconfigurator as adapter

MODEL, PLATFORM = "Qwen/Qwen3-VL-8B-Instruct", "h100_sxm"


@pytest.fixture(scope="module")
def opened() -> adapter.Opened:
    """The engine that the shipped tables were made from."""
    return adapter.open_engine(MODEL, PLATFORM, "bf16", 1)


def relative(found: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Mean and 99th percentile of the relative error."""
    error = np.abs(found - truth) / truth
    return float(error.mean()), float(np.quantile(error, 0.99))


def milliseconds(values: list[object]) -> float:
    """Sum of operator times as seconds."""
    return sum(float(v[1]) for v in values) / 1e3  # type: ignore[index]


@pytest.mark.parametrize("component", [Component.ATTENTION, Component.FFN])
def test_linear_times_are_the_engines(opened: adapter.Opened, component: Component) -> None:
    """Random token counts: mean error at most 0.2 %, 99th percentile at most 1 %."""
    t, rng = load_tables(MODEL, PLATFORM, "bf16"), np.random.default_rng(1)
    n = np.exp(rng.uniform(0, np.log(32_000), 150)).astype(int) + 1
    truth = np.array(
        [milliseconds(opened.engine.evaluate_context_ops(opened.indices(component), batch_size=1, s=x, x=x)) for x in n.tolist()]
    )
    row = t.linear_s[[Component.ATTENTION, Component.FFN].index(component)]

    mean, p99 = relative(np.interp(n, t.token_n, row), truth)
    assert mean <= 0.002
    assert p99 <= 0.01


def test_attention_times_are_the_engines(opened: adapter.Opened) -> None:
    """Random chunks over prefixes and batches over contexts: mean at most 0.2 %, 99th percentile at most 1 %."""
    t, rng = load_tables(MODEL, PLATFORM, "bf16"), np.random.default_rng(2)
    core = [opened.names.index(adapter.CORE)]
    chunk, prefix = np.exp(rng.uniform(3, 9, 120)).astype(int), np.exp(rng.uniform(4, 10, 120)).astype(int)
    batch, context = np.exp(rng.uniform(0, 6, 120)).astype(int), np.exp(rng.uniform(5, 10, 120)).astype(int)
    prompt = [
        milliseconds(opened.engine.evaluate_context_ops(core, batch_size=1, s=c, prefix=p))
        for c, p in zip(chunk.tolist(), prefix.tolist(), strict=True)
    ]
    decode = [
        milliseconds(opened.engine.evaluate_generation_ops(core, batch_size=b, s=c))
        for b, c in zip(batch.tolist(), context.tolist(), strict=True)
    ]
    ours = RegularGridInterpolator((t.prefill_chunk, t.prefill_prefix), t.prefill_attention_s)(np.stack([chunk, prefix], axis=1))
    then = RegularGridInterpolator((t.decode_batch, t.decode_kv), t.decode_attention_s)(np.stack([batch, context], axis=1))

    for found, truth in ((ours, prompt), (then, decode)):
        mean, p99 = relative(found, np.array(truth))
        assert mean <= 0.002
        assert p99 <= 0.01


def test_encoder_times_are_the_engines(opened: adapter.Opened) -> None:
    """Random sizes and numbers of images: mean at most 0.2 %, 99th percentile at most 1 %."""
    t, rng = load_tables(MODEL, PLATFORM, "bf16"), np.random.default_rng(3)
    size, images = np.exp(rng.uniform(4, 9, 200)).astype(int), np.exp(rng.uniform(0, 3.4, 200)).astype(int)
    encode = adapter.encoding(opened)
    truth = [milliseconds(encode(e, i)) for e, i in zip(size.tolist(), images.tolist(), strict=True)]
    ours = RegularGridInterpolator((t.encoder_tokens, t.encoder_images), t.encoder_s)(np.stack([size, images], axis=1))

    mean, p99 = relative(ours, np.array(truth))
    assert mean <= 0.002
    assert p99 <= 0.01


def test_the_encoder_is_the_packages_own(opened: adapter.Opened) -> None:
    """Our token arithmetic gives the package's encoder phase: 736 x 1280 pixels are 920 visual tokens."""
    from aiconfigurator_core.sdk.backends.factory import get_backend
    from aiconfigurator_core.sdk.config import RuntimeConfig
    from aiconfigurator_core.sdk.perf_database import get_database

    runtime = RuntimeConfig(batch_size=1, isl=16, osl=2, image_height=736, image_width=1280, num_images_per_request=1)
    phase = get_backend(adapter.VLLM.backend)._run_encoder_phase(
        opened.model, get_database(PLATFORM, adapter.VLLM.backend, adapter.VERSION), runtime, 1
    )
    t = load_tables(MODEL, PLATFORM, "bf16")

    ours = np.interp(920, t.encoder_tokens, t.encoder_s[:, 0])
    assert phase[3] == 920
    assert ours == pytest.approx(sum(phase[0].values()) / 1e3, rel=0.02)


def test_a_rebuilt_table_is_the_shipped_one(opened: adapter.Opened) -> None:
    """The shipped linear row of the feed-forward network is what the engine says today at some of its points."""
    t = load_tables(MODEL, PLATFORM, "bf16")

    for i in (0, 127, 1023, 2100):
        n = int(t.token_n[i])
        now = milliseconds(opened.engine.evaluate_context_ops(opened.indices(Component.FFN), batch_size=1, s=n, x=n))
        assert t.linear_s[1, i] == pytest.approx(now, rel=1e-6)


def test_energies_are_zero_and_never_read(opened: adapter.Opened) -> None:
    """Trap: the package reports 0.0 J for every operator; the tables hold no energy at all."""
    found = opened.engine.evaluate_context_ops([0, 1, 2], batch_size=1, s=64, x=64)

    assert {o[2] for o in found} == {0.0}
    assert not any("energy" in f for f in load_tables(MODEL, PLATFORM, "bf16").__slots__)


def test_names_that_would_be_downloaded_are_refused() -> None:
    """Trap: an unbundled name triggers a download; only bundled ones are asked for, and the hub is told to stay offline."""
    import os

    with pytest.raises(UnknownNameError, match="it carries for example"):
        adapter.open_engine("somebody/unknown-7b", PLATFORM, "bf16", 1)
    adapter.open_engine(MODEL, PLATFORM, "bf16", 1)
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_fp8_is_not_the_block_scaled_kernel() -> None:
    """Trap: ``fp8_block`` decodes slower than bf16 on Hopper; it has no name here."""
    with pytest.raises(UnknownNameError, match="fp8_block is another kernel"):
        adapter.open_engine(MODEL, PLATFORM, "fp8_block", 1)


def test_precisions_that_were_not_measured_are_refused() -> None:
    """Trap: fp4 on Hopper has no data; the message carries the combination."""
    with pytest.raises(EvidenceError, match="nvfp4 on h100_sxm"):
        adapter.open_engine(MODEL, PLATFORM, "nvfp4", 1)


def test_vision_on_a100_is_refused_with_the_reason() -> None:
    """Trap: A100 has no encoder-attention data."""
    with pytest.raises(UnknownNameError, match="never measured there"):
        adapter.open_engine(MODEL, "a100_sxm", "bf16", 1)


def test_every_operator_has_a_component(opened: adapter.Opened) -> None:
    """No operator is left out of the sum, none is counted twice."""
    taken = [i for c in (Component.ATTENTION, Component.FFN, Component.OTHER) for i in opened.indices(c)]
    rest = {opened.names.index(adapter.CORE), opened.names.index(adapter.LOGITS)}

    assert sorted([*taken, *rest]) == list(range(len(opened.names)))


def test_other_engines_have_other_kernels(opened: adapter.Opened) -> None:
    """TensorRT-LLM's feed-forward at 64 tokens is not vLLM's, and keys and values of 8 bits are read faster."""
    theirs = adapter.open_engine("Qwen/Qwen3-32B", PLATFORM, "fp8", 1, adapter.Engine(backend="trtllm", fp8_kv=True))
    wide = adapter.open_engine("Qwen/Qwen3-32B", PLATFORM, "fp8", 1, adapter.Engine(backend="trtllm"))
    ours = adapter.open_engine("Qwen/Qwen3-32B", PLATFORM, "fp8", 1)

    ffn = [
        milliseconds(o.engine.evaluate_context_ops(o.indices(Component.FFN), batch_size=1, s=64, x=64)) for o in (theirs, ours)
    ]
    core = [
        milliseconds(o.engine.evaluate_generation_ops([o.names.index(adapter.CORE)], batch_size=64, s=4096))
        for o in (theirs, wide)
    ]
    assert theirs.names == opened.names
    assert ffn[0] != pytest.approx(ffn[1], rel=1e-3)
    assert core[0] < 0.8 * core[1]
