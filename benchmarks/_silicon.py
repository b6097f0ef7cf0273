"""The silicon sample inside aiconfigurator-core: its dense rows, and what each predictor says of them.

Protocol: a closed loop of as many clients as the row's batch, ten requests each, 8,192 tokens a step at most. vLLM and
TensorRT-LLM chunk prompts beside decoding, SGLang runs prompts first; TensorRT-LLM reserves keys and values at admission.
Rows of the 2026-04-06 dump draw prompt and output from 0.8 to 1 of the stated lengths and keep keys and values in 8 bits.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deltastack.fleet import accelerator, memory, settings
from deltastack.fleet.deployment import Deployment
from deltastack.fleet.operators import OperatorTables, roofline
from deltastack.fleet.operators import aiconfigurator as adapter
from deltastack.fleet.simulator import Config, Requests, simulate_each, tpot_s, ttft_s

ROOT = Path(__file__).parents[1]
NAMES = {
    "Qwen/Qwen3-32B": "Qwen/Qwen3-32B",
    "meta-llama/Llama-3.1-70B": "meta-llama/Llama-3.1-70B-Instruct",
    "meta-llama/Llama-3.1-8B-Instruct": "meta-llama/Llama-3.1-8B-Instruct",
}
PLATFORMS, DRAWN_ROWS, TURNOVERS, TOKEN_BUDGET = ("h100_sxm", "h200_sxm", "b200_sxm"), "2026-04-06", 10, 8192
HOPPER = ("h100_sxm", "h200_sxm")
"""Absolute times are judged here; B200 rows only serve pairs (rows that differ in one thing)."""
EXCLUDED = {
    "nvidia/Llama-3.1-8B-Instruct-FP8": "its prompts would need 76 % of the fp8 peak: prefix hits, or a load that is mislabelled",
    "fp8_block": "time to first token lies below one wave of prompts: another protocol",
}
VALUES = settings.load(ROOT).values


class Row(NamedTuple):
    """One measured point; times in seconds."""

    name: str
    model: str
    platform: str
    precision: str
    backend: str
    tensor_parallel: int
    batch: int
    prompt: int
    output: int
    drawn: bool
    ttft_s: float
    tpot_s: float

    @property
    def judged(self) -> bool:
        """Whether its absolute times count: on Hopper."""
        return self.platform in HOPPER

    @property
    def group(self) -> tuple[str, str, str, str]:
        """Model, platform, engine and precision: a line of the table."""
        return (self.model.split("/")[1], self.platform, self.backend, self.precision)

    @property
    def combination(self) -> tuple[str, str, str, int, adapter.Engine]:
        """What operator times are tabulated for."""
        engine = adapter.Engine(backend=self.backend, fp8_kv=self.drawn)
        return (self.model, self.platform, self.precision, self.tensor_parallel, engine)


class Guess(NamedTuple):
    """Mean time to first token and per output token [s]."""

    ttft_s: float
    tpot_s: float


def rows() -> tuple[list[Row], dict[str, int]]:
    """The dense aggregated rows, and how many were excluded for which reason."""
    import aiconfigurator_core

    path = Path(aiconfigurator_core.__file__).parent / "systems" / "silicon_sample.csv"
    found, left_out = [], dict.fromkeys(EXCLUDED, 0)
    with path.open(newline="") as f:
        for r in csv.DictReader(f):
            if r["mode"] != "agg" or r["system"] not in PLATFORMS:
                continue
            odd = next((key for key in EXCLUDED if key in (r["model_path"], r["gemm_quant_mode"])), None)
            if odd and "Llama-3.1-8B" in r["model_path"]:
                left_out[odd] += 1
            elif r["model_path"] in NAMES:
                found.append(_row(r))
    return found, left_out


def _row(r: dict[str, str]) -> Row:
    return Row(
        name=r["id"],
        model=NAMES[r["model_path"]],
        platform=r["system"],
        precision=r["gemm_quant_mode"] or "bf16",
        backend=r["backend"],
        tensor_parallel=int(float(r["tp_size"])),
        batch=int(float(r["batch_size"])),
        prompt=int(r["isl"]),
        output=int(r["osl"]),
        drawn=DRAWN_ROWS in r["silicon_data_source"],
        ttft_s=float(r["silicon_ttft_ms"]) / 1e3,
        tpot_s=float(r["silicon_tpot_ms"]) / 1e3,
    )


@lru_cache(maxsize=64)
def tables(combination: tuple[str, str, str, int, adapter.Engine]) -> OperatorTables:
    """Operator times of one combination, tabulated now."""
    return adapter.build(*combination)


@lru_cache(maxsize=64)
def rooflines(combination: tuple[str, str, str, int, adapter.Engine]) -> OperatorTables:
    """The house's roofline of the same combination, keys and values as wide as the row's: no measurement in it."""
    model, where, precision, parallel, engine = combination
    plain = roofline.build(model, accelerator.load(ROOT, where), precision, parallel, context_limit_tokens=131_072)
    share = 2 if engine.fp8_kv else 1
    return replace(
        plain,
        kv_bytes_per_token=plain.kv_bytes_per_token / share,
        decode_attention_s=plain.decode_attention_s / share,
    )


def simulated(found: list[Row], make: Any, hosts: dict[str, tuple[float, float]]) -> list[Guess]:
    """Our simulator's answer for every row, over the operator times that ``make`` gives.

    Args:
        found: The rows.
        make: Operator times by combination.
        hosts: Seconds of the host, a step and a sequence and step, by engine; none for an engine that is not named.
    """
    cells = [
        (make(row.combination), _requests(row), _config(row, make(row.combination), hosts.get(row.backend, (0.0, 0.0))))
        for row in found
    ]
    results = simulate_each(cells, lambda result: result, threads=1)
    return [
        Guess(float(ttft_s(result).mean()), float(tpot_s(result, requests).mean()))
        for result, (_, requests, _) in zip(results, cells, strict=True)
    ]


def _requests(row: Row) -> Requests:
    count, random = TURNOVERS * row.batch, np.random.default_rng(0)
    none, low = np.zeros(count, np.int64), 0.8 if row.drawn else 1.0
    prompt, output = (np.rint(n * random.uniform(low, 1.0, count)).astype(np.int64) for n in (row.prompt, row.output))
    return Requests(
        arrival_s=none * 1.0,
        images=none,
        image_tokens=none,
        prompt_tokens=prompt,
        output_tokens=output,
        cached_tokens=none,
        cached_images=none,
        delay_s=none * 1.0,
    )


def _config(row: Row, times: OperatorTables, host: tuple[float, float]) -> Config:
    deployment = Deployment(model=row.model, platform=row.platform, precision=row.precision, tensor_parallel=row.tensor_parallel)
    inside = memory.residents(times, accelerator.load(ROOT, row.platform), deployment, VALUES.memory)
    return Config(
        token_budget=TOKEN_BUDGET,
        max_sequences=row.batch,
        clients=row.batch,
        policy="prefill_first" if row.backend == "sglang" else "mixed",
        kv_policy="reserve" if row.backend == "trtllm" else "on_demand",
        kv_capacity_tokens=int(inside.kv // times.kv_bytes_per_token),
        host_step_s=host[0],
        host_sequence_s=host[1],
    )


def theirs(found: list[Row]) -> list[Guess]:
    """aiconfigurator-core's own estimate of an aggregated server (``run_agg``, a context of one prompt)."""
    return [_agg(row) for row in found]


def _agg(row: Row) -> Guess:
    from aiconfigurator_core.sdk.backends.factory import get_backend
    from aiconfigurator_core.sdk.config import RuntimeConfig

    model, database = _peer(row.combination)
    runtime = RuntimeConfig(batch_size=row.batch, isl=row.prompt, osl=row.output)
    answer = get_backend(row.backend).run_agg(model, database, runtime, ctx_tokens=row.prompt).get_result_dict()
    return Guess(float(answer["ttft"]) / 1e3, float(answer["tpot"]) / 1e3)


@lru_cache(maxsize=64)
def _peer(combination: tuple[str, str, str, int, adapter.Engine]) -> tuple[Any, Any]:
    from aiconfigurator_core.sdk.perf_database import get_database

    opened = adapter.open_engine(*combination)
    return opened.model, get_database(combination[1], combination[4].backend, adapter.VERSION)
