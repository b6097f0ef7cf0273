"""What the fleet's operator times say of the cells that an accelerator bench measured, beside what was measured.

One replica serves one session: images encoded, prompts prefilled, tokens decoded at the mean context, each phase after the other.

    encode   E(images) + E(blank images of text requests, unless skipped)
    prefill  sum over groups of L(requests x prompt) + requests x A(prompt) + H(requests)
    decode   answer x (L(requests) + sum over groups of D(requests, prompt + answer / 2) + H(requests))
    restore  bytes of keys and values / host link + latency

L, A, D, E, H are linear work, attention of a prompt, attention of a step, encoder and head of the tables; between grid points in
logarithms, beyond them in proportion. fp8 takes the tables of fp8; 2:4 the measured kernel of params/layers/instruction_set.yaml.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deltastack import params
from deltastack.errors import EvidenceError, ParamsError, UnknownNameError
from deltastack.fleet.operators import load_tables
from deltastack.fleet.physics.kernels import time_factor
from deltastack.model import Bench, Resource
from deltastack.statistics import Estimate, nested_interval

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from deltastack.fleet.operators import OperatorTables
    from deltastack.recording.bundle import Manifest, Recording

MODELS = {
    "qwen3_vl_2b": "Qwen/Qwen3-VL-2B-Instruct",
    "qwen3_vl_4b": "Qwen/Qwen3-VL-4B-Instruct",
    "qwen3_vl_8b": "Qwen/Qwen3-VL-8B-Instruct",
}
PLATFORMS = (("h100_sxm", ("H100", "HBM3")), ("h200_sxm", ("H200",)), ("h100_pcie", ("H100", "PCIe")))
CELLS = {
    "fp8_tensor": "instruction_set",
    "sparse_24": "instruction_set",
    "kv_restore": "storage",
    "encoder_skip": "idle",
}
EXAMPLE = Path(__file__).with_name("h100_example.yaml")


class Load(NamedTuple):
    """One session of the bench."""

    requests: int
    image_tokens: int
    text_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One cell: the fleet's saving of time beside the measured one."""

    cell: str
    predicted: float
    measured: Estimate | None
    source: str
    """Whose measurement, where and when; why there is none."""

    @property
    def error(self) -> float | None:
        """Predicted minus measured, a fraction."""
        return None if self.measured is None else self.predicted - self.measured.value


def beside(recording: Recording, root: Path) -> tuple[Beside, ...]:
    """The cells of a recording of the accelerator bench; none for another bench, or a model or board without operator times.

    Args:
        recording: A checked bundle.
        root: Where ``params`` lies.
    """
    m = recording.manifest
    at = _at(m)
    if m.bench is not Bench.ACCELERATOR or at is None:
        return ()
    told = {name: measured(recording, name) for name in CELLS}
    where = f"measured on {m.device}, {m.recorded_at[:10]}"
    return _beside(at[0], at[1], Load(**json.loads(m.versions["load"])), told, where, root)


def example(root: Path) -> tuple[Beside, ...]:
    """The same beside the figures of one H100 that ship as data, for a checkout without a recording."""
    kept = params.read_yaml(EXAMPLE)
    told = {name: None if x is None else Estimate(float(x), None, None) for name, x in kept["time_saving"].items()}
    return _beside(kept["model"], kept["platform"], Load(**kept["load"]), told, kept["source"], root)


def measured(recording: Recording, technique: str) -> Estimate | None:
    """The saving of time of one technique alone, with its interval over blocks; None where it was not measured."""
    table: pd.DataFrame | None = recording.tables.get(f"delta/{CELLS[technique]}")
    if table is None:
        return None
    rows = table[(table["technique"] == technique) & (table["resource"] == str(Resource.TIME_S))]
    if rows.empty or rows["optimized"].isna().any():
        return None
    sums = rows.groupby("replicate")[["base", "optimized"]].sum()
    logs = np.log(sums["optimized"].to_numpy(float) / sums["base"].to_numpy(float))
    try:
        found = nested_interval.interval([logs])
    except EvidenceError:
        return Estimate(float(-np.expm1(logs.mean())), None, None)
    return Estimate(found.delta, found.low, found.high)


def savings(model: str, platform: str, load: Load, root: Path) -> dict[str, float]:
    """The fleet's saving of a session's time by cell.

    Raises:
        UnknownNameError: No operator times of the model on the platform.
    """
    plain, small = (load_tables(model, platform, p) for p in ("bf16", "fp8"))
    link = _link(root)
    base = session_s(plain, load)
    changed = {
        "fp8_tensor": session_s(small, load),
        "sparse_24": session_s(plain, load, factor=_sparse(plain, root)),
        "kv_restore": session_s(plain, load, restored=link),
        "encoder_skip": session_s(plain, load, skip=True),
    }
    return {name: 1 - s / base for name, s in changed.items()}


def session_s(
    t: OperatorTables,
    load: Load,
    *,
    skip: bool = False,
    restored: tuple[float, float] | None = None,
    factor: NDArray[np.float64] | None = None,
) -> float:
    """Seconds of one session.

    Args:
        t: Operator times.
        load: The session.
        skip: Text requests run no encoder.
        restored: Bytes a second and latency of the link over which half of the keys and values come.
        factor: Time of the products of attention and feed-forward over the tables', by ``t.token_n``.
    """
    counts = (load.requests // 2, load.requests - load.requests // 2)
    lengths = (load.image_tokens + load.text_tokens, load.text_tokens)
    left = [c - (c // 2 if restored else 0) for c in counts]
    found = _encode_s(t, load, left[0]) + (0.0 if skip else _encode_s(t, load, left[1]))
    for count, tokens in zip(left, lengths, strict=True):
        found += _linear_s(t, count * tokens, factor) + count * _prompt_s(t, tokens) + _head_s(t, count)
    contexts = [n + load.output_tokens // 2 for n in lengths]
    step = _linear_s(t, load.requests, factor) + _head_s(t, load.requests)
    step += sum(_attend_s(t, c, n) for c, n in zip(counts, contexts, strict=True))
    if restored:
        byte = sum((c - k) * n for c, k, n in zip(counts, left, lengths, strict=True)) * t.kv_bytes_per_token
        found += byte / restored[0] + restored[1]
    return found + load.output_tokens * step


def _beside(  # noqa: PLR0913, PLR0917 - a deployment, its load, and what was measured of it
    model: str, platform: str, load: Load, told: dict[str, Estimate | None], source: str, root: Path
) -> tuple[Beside, ...]:
    try:
        found = savings(model, platform, load, root)
    except (UnknownNameError, ParamsError):  # no operator times, or a checkout without these layers: nothing to hold beside
        return ()
    return tuple(
        Beside(cell=name, predicted=x, measured=told[name], source=source if told[name] else f"{source}: not this cell")
        for name, x in found.items()
    )


def _at(m: Manifest) -> tuple[str, str] | None:
    """Model and platform of a manifest as the fleet names them."""
    model = MODELS.get(m.versions.get("shape", ""))
    platform = next((name for name, words in PLATFORMS if all(w in m.device for w in words)), None)
    return None if model is None or platform is None or "load" not in m.versions else (model, platform)


def _link(root: Path) -> tuple[float, float]:
    """Bytes a second and latency of restoring, from params/layers/storage.yaml."""
    values = _params(root, "storage", "kv_tier", "host_bytes_per_s", "latency_s")
    return float(values["host_bytes_per_s"]["value"]), float(values["latency_s"]["value"])


def _sparse(t: OperatorTables, root: Path) -> NDArray[np.float64]:
    """Time of the measured 2:4 kernel over the dense one, by ``t.token_n``."""
    kernel = _params(root, "instruction_set", "sparse_gemm", "measured")["measured"]
    ratio = np.array(kernel["kernel_ms"]) / np.array(kernel["dense_ms"])
    return time_factor(t.token_n, kernel["tokens"], ratio)


def _params(root: Path, layer: str, technique: str, *names: str) -> dict[str, Any]:
    """Parameters of one technique in params/layers/LAYER.yaml.

    Raises:
        ParamsError: No such file, or one of ``names`` is not in it.
    """
    file = root / f"params/layers/{layer}.yaml"
    found: Any = params.read_yaml(file)
    for key in ("techniques", technique, "params"):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, dict) or not set(names) <= found.keys():
        raise ParamsError(f"{file}: {technique} has no {', '.join(names)}")
    return found


def _linear_s(t: OperatorTables, tokens: float, factor: NDArray[np.float64] | None) -> float:
    gemm = t.linear_gemm_s[:2].sum(axis=0)
    seconds = t.linear_s.sum(axis=0) - (0.0 if factor is None else (1 - factor) * gemm)
    return _between(t.token_n, seconds, tokens)


def _head_s(t: OperatorTables, rows: float) -> float:
    return _between(t.logits_n, t.logits_s, rows)


def _prompt_s(t: OperatorTables, tokens: float) -> float:
    return _between(t.prefill_chunk, t.prefill_attention_s[:, int(np.argmin(t.prefill_prefix))], tokens)


def _attend_s(t: OperatorTables, sequences: float, context: float) -> float:
    at = np.array([_between(t.decode_kv, row, context) for row in t.decode_attention_s])
    return _between(t.decode_batch, at, sequences)


def _encode_s(t: OperatorTables, load: Load, images: int) -> float:
    if not images or not t.encoder_tokens.size:
        return 0.0
    at = np.array([_between(t.encoder_tokens, column, load.image_tokens) for column in t.encoder_s.T])
    return _between(t.encoder_images, at, images)


def _between(grid: NDArray[np.int64], seconds: NDArray[np.float64], at: float) -> float:
    """Seconds at a point: between grid points in logarithms, beyond the last in proportion; 0 of nothing."""
    if at <= 0:
        return 0.0
    if at > grid[-1]:
        return float(seconds[-1] * at / grid[-1])
    return float(np.exp(np.interp(np.log(at), np.log(grid), np.log(seconds))))
