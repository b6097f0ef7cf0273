"""What load generators write, as amounts of this house: seconds and joules per unit of work.

* vLLM ``bench serve --save-result``: flat keys, rates per second, latencies ``mean_*_ms``; ``--append-result`` writes one
  JSON value after another, ``bench sweep`` a list. Energy only where its meter could read (``gpu_energy_j``).
* SGLang ``bench_serving``: the same keys but ``mean_e2e_latency_ms``, and ``backend`` names the engine.
* GuideLLM ``benchmarks.json``: ``benchmarks[i].metrics.NAME.successful.mean``. Several benchmarks in one file are load
  points, not repeats, so one is chosen. A mean of 0 stands for what was not observed (no streaming).
* AIPerf ``profile_export_aiperf.json``: one block a metric with ``unit`` and ``avg``; the unit is authoritative.

Formats as of vLLM 2026-08, SGLang 0.5.23, GuideLLM 0.5 to 0.8, AIPerf 0.10 to 0.13, read from their sources and documents.
"""

from __future__ import annotations

from typing import Any

from deltastack.errors import InputError
from deltastack.importers.conditions import UNLIMITED
from deltastack.importers.readings import (
    RATES,
    SECONDS,
    Json,
    in_unit,
    inside,
    inverse,
    kept,
    number,
    plain,
    positive,
    rows,
    scaled,
)

Read = tuple[dict[str, float], dict[str, Any]]

_SERVE_RATES = {"time_per_request_s": "request_throughput", "time_per_output_token_s": "output_throughput"}
_VLLM_MS = {
    "time_to_first_token_s": "mean_ttft_ms",
    "inter_token_latency_s": "mean_itl_ms",
    "request_latency_s": "mean_e2el_ms",
}
_SGLANG_MS = _VLLM_MS | {"request_latency_s": "mean_e2e_latency_ms"}
_GUIDE_RATES = {"time_per_request_s": "requests_per_second", "time_per_output_token_s": "output_tokens_per_second"}
_GUIDE_MS = {"time_to_first_token_s": "time_to_first_token_ms", "inter_token_latency_s": "inter_token_latency_ms"}
_AIPERF_RATES = {"time_per_request_s": "request_throughput", "time_per_output_token_s": "output_token_throughput"}
AIPERF_TIMES = {
    "time_to_first_token_s": "time_to_first_token",
    "inter_token_latency_s": "inter_token_latency",
    "request_latency_s": "request_latency",
}


def vllm(run: Json) -> Read:
    """Amounts and conditions of one vLLM result."""
    return _serve(run, _VLLM_MS)


def sglang(run: Json) -> Read:
    """Amounts and conditions of one SGLang result."""
    return _serve(run, _SGLANG_MS)


def _serve(run: Json, latencies: dict[str, str]) -> Read:
    found = {q: inverse(run.get(k), k) for q, k in _SERVE_RATES.items()}
    found |= {q: scaled(run.get(k), k, 1e-3) for q, k in latencies.items()}
    tokens = positive(run.get("total_output_tokens"), "total_output_tokens")
    energy = positive(run.get("gpu_energy_j"), "gpu_energy_j")
    found["energy_per_output_token_j"] = energy / tokens if energy and tokens else None
    unlimited = "max_concurrency" in run and run["max_concurrency"] is None
    conditions = {
        "model": plain(run.get("model_id") or run.get("model") or run.get("model_name")),
        "engine": plain(run.get("backend")),
        "hardware": plain(run.get("hardware") or run.get("gpu")),
        "parallel": plain(run.get("tp") or run.get("tensor_parallel_size")),
        "dataset": plain(run.get("dataset_name")),
        "requests": number(run.get("completed"), "completed"),
        "failed": number(run.get("failed"), "failed"),
        "input_tokens": number(run.get("total_input_tokens"), "total_input_tokens"),
        "output_tokens": number(run.get("total_output_tokens"), "total_output_tokens"),
        "request_rate": plain(run.get("request_rate")),
        "concurrency": UNLIMITED if unlimited else plain(run.get("max_concurrency")),
    }
    return kept(found), conditions


def guidellm(run: Json) -> Read:
    """Amounts and conditions of one benchmark of a GuideLLM report."""
    metrics = inside(run, "metrics") or {}
    found = {q: inverse(_mean(metrics, k), k) for q, k in _GUIDE_RATES.items()}
    found |= {q: scaled(_mean(metrics, k), k, 1e-3) for q, k in _GUIDE_MS.items()}
    found["request_latency_s"] = positive(_mean(metrics, "request_latency"), "request_latency")
    count = number(inside(metrics, "request_totals", "successful"), "request_totals.successful")
    models = (
        inside(run, *place) for place in (("config", "backend", "model"), ("args", "model"), ("benchmarker", "backend", "model"))
    )
    conditions = {
        "model": next((plain(m) for m in models if m), None),
        "requests": count,
        "failed": number(inside(metrics, "request_totals", "errored"), "request_totals.errored"),
        "input_tokens": _product(_mean(metrics, "prompt_token_count"), count),
        "output_tokens": _product(_mean(metrics, "output_token_count"), count),
        "load": strategy(run),
    }
    return kept(found), conditions


def strategy(run: Json) -> str:
    """The load of one GuideLLM benchmark in words: ``constant 4.0``."""
    for holder in ("config", "args"):
        plan = inside(run, holder, "strategy")
        if isinstance(plan, dict) and plan:
            load = next((plan[k] for k in ("rate", "streams", "max_concurrency") if plan.get(k) is not None), "")
            return f"{plan.get('type_', plan.get('kind', 'load'))} {load}".strip()
    return "load not named"


def aiperf(run: Json) -> Read:
    """Amounts and conditions of one AIPerf summary.

    Raises:
        InputError: A run that was cancelled, or a reading that is no number.
    """
    if run.get("was_cancelled"):
        raise InputError("this AIPerf run was cancelled: wanted one that ended")
    found = {q: _inverted(in_unit(run.get(k), k, RATES)) for q, k in _AIPERF_RATES.items()}
    found |= {q: in_unit(run.get(k), k, SECONDS) for q, k in AIPERF_TIMES.items()}
    conditions = {
        "requests": _avg(run, "request_count"),
        "failed": _avg(run, "error_request_count"),
        "input_tokens": _avg(run, "total_isl"),
        "output_tokens": _avg(run, "total_osl") or _avg(run, "total_output_tokens"),
        **aiperf_load(run),
    }
    return kept(found), conditions


def aiperf_load(run: Json) -> dict[str, Any]:
    """Model and load of an AIPerf run, from the configuration that it repeats."""
    config = inside(run, "input_config")
    endpoint = inside(config, "endpoint", "model_names")
    models = [plain(m.get("name")) for m in rows(config, "models", "items")] or (endpoint if isinstance(endpoint, list) else [])
    phases = [p for p in rows(config, "phases") if not p.get("exclude_from_results")]
    load = next((p for p in phases if p.get("name") == "profiling"), None) or inside(config, "loadgen") or {}
    return {
        "model": ", ".join(map(str, models)) or None,
        "concurrency": plain(inside(load, "concurrency")),
        "request_rate": plain(inside(load, "request_rate") or inside(load, "rate")),
    }


def _inverted(rate: float | None) -> float | None:
    return None if rate is None else 1 / rate


def _mean(metrics: Any, name: str) -> Any:
    """``metrics.NAME.successful.mean``."""
    return inside(metrics, name, "successful", "mean")


def _avg(run: Json, name: str) -> float | None:
    return number(inside(run, name, "avg"), name)


def _product(mean: Any, count: float | None) -> float | None:
    each = number(mean, "mean token count")
    return None if each is None or count is None else each * count
