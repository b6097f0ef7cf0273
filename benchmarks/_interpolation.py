"""Operator times read off the shipped grids, against direct calls of the engine at random shapes that are not on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from deltastack.fleet.operators import LINEAR_COMPONENTS, load_tables
from deltastack.fleet.operators import aiconfigurator as adapter
from deltastack.fleet.simulator.grids import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

MODELS = (("Qwen/Qwen3-VL-8B-Instruct", "h100_sxm", "bf16", 1), ("Qwen/Qwen3-VL-32B-Instruct", "h100_sxm", "fp8", 2))
SAMPLES, GATE_MEAN, GATE_P99 = 400, 0.002, 0.01


def table() -> dict[str, dict[str, tuple[float, float]]]:
    """Print mean and 99th percentile of the relative error of each component; the same as numbers."""
    found = {}
    for which in MODELS:
        words = " ".join(map(str, which))
        found[words] = {name: _errors(ours, truth) for name, ours, truth in _components(which)}
        for name, (mean, p99) in found[words].items():
            met = mean <= GATE_MEAN and p99 <= GATE_P99
            print(f"interpolation, {words}, {name}: mean {mean:.3%}, p99 {p99:.2%} (0.2 %, 1 %: {'met' if met else 'MISSED'})")
    return found


def _errors(ours: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[float, float]:
    off = np.abs(ours / truth - 1)
    return float(off.mean()), float(np.quantile(off, 0.99))


def _components(which: tuple[str, str, str, int]) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """Each component's times off the grid and from the engine."""
    t, opened, random = load_tables(*which), adapter.open_engine(*which), np.random.default_rng(7)
    engine, core, logits = opened.engine, [opened.names.index(adapter.CORE)], [opened.names.index(adapter.LOGITS)]

    def log_uniform(low: float, high: float) -> NDArray[np.int64]:
        return np.exp(random.uniform(np.log(low), np.log(high), SAMPLES)).astype(np.int64)

    n = log_uniform(1, 32_000)
    for component in LINEAR_COMPONENTS:
        ops = opened.indices(component)
        truth = [_seconds(engine.evaluate_context_ops(ops, batch_size=1, s=x, x=x)) for x in n.tolist()]
        yield str(component), read(t.token_n, t.linear_s[LINEAR_COMPONENTS.index(component)], n), np.array(truth)
    m = log_uniform(1, 1024)
    truth = [_seconds(engine.evaluate_generation_ops(logits, batch_size=x, s=1024)) for x in m.tolist()]
    yield "logits", read(t.logits_n, t.logits_s, m), np.array(truth)
    chunk, prefix = log_uniform(16, 16_000), log_uniform(64, 60_000)
    prompt = [
        _seconds(engine.evaluate_context_ops(core, batch_size=1, s=c, prefix=p))
        for c, p in zip(chunk.tolist(), prefix.tolist(), strict=True)
    ]
    yield "prefill attention", _plane(t.prefill_chunk, t.prefill_prefix, t.prefill_attention_s, chunk, prefix), np.array(prompt)
    batch, context = log_uniform(1, 512), log_uniform(128, 30_000)
    decode = [
        _seconds(engine.evaluate_generation_ops(core, batch_size=b, s=k))
        for b, k in zip(batch.tolist(), context.tolist(), strict=True)
    ]
    yield "decode attention", _plane(t.decode_batch, t.decode_kv, t.decode_attention_s, batch, context), np.array(decode)
    encode, size, images = adapter.encoding(opened), log_uniform(64, 8_000), log_uniform(1, 32)
    pictures = [_seconds(encode(e, i)) for e, i in zip(size.tolist(), images.tolist(), strict=True)]
    yield "encoder", _plane(t.encoder_tokens, t.encoder_images, t.encoder_s, size, images), np.array(pictures)


def _plane(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    values: NDArray[np.float64],
    x: NDArray[np.int64],
    y: NDArray[np.int64],
) -> NDArray[np.float64]:
    return np.asarray(RegularGridInterpolator((rows, columns), values)(np.stack([x, y], axis=1)))


def _seconds(operators: Sequence[Sequence[float]]) -> float:
    return sum(o[1] for o in operators) / 1e3
