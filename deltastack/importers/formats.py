"""What three load generators write, as amounts of this house: seconds and joules per unit of work.

* vLLM ``bench serve --save-result``: flat keys, rates per second, latencies ``mean_*_ms``; ``--append-result`` writes one
  JSON value after another: each is a repeat. Energy only where its meter could read (``gpu_energy_j``).
* GuideLLM ``benchmarks.json``: ``benchmarks[i].metrics.NAME.successful.mean``. Several benchmarks in one file are load
  points, not repeats, so one is chosen. A mean of 0 stands for what was not observed (no streaming).
* AIPerf ``profile_export_aiperf.json``: one block a metric with ``unit`` and ``avg``; the unit is authoritative.

Formats as of vLLM 2026-08, GuideLLM 0.5 to 0.8, AIPerf 0.13 (schema 1.5), read from their sources and documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deltastack.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json = dict[str, Any]

_S_OF = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_VLLM_RATES = {"time_per_request_s": "request_throughput", "time_per_output_token_s": "output_throughput"}
_VLLM_MS = {
    "time_to_first_token_s": "mean_ttft_ms",
    "inter_token_latency_s": "mean_itl_ms",
    "request_latency_s": "mean_e2el_ms",
}
_GUIDE_RATES = {"time_per_request_s": "requests_per_second", "time_per_output_token_s": "output_tokens_per_second"}
_GUIDE_MS = {"time_to_first_token_s": "time_to_first_token_ms", "inter_token_latency_s": "inter_token_latency_ms"}
_AIPERF_RATES = {"time_per_request_s": "request_throughput", "time_per_output_token_s": "output_token_throughput"}
_AIPERF_TIMES = {
    "time_to_first_token_s": "time_to_first_token",
    "inter_token_latency_s": "inter_token_latency",
    "request_latency_s": "request_latency",
}


def vllm(run: Json) -> tuple[dict[str, float], dict[str, Any]]:
    """Amounts and conditions of one vLLM result."""
    found = {q: _inverse(run.get(k)) for q, k in _VLLM_RATES.items()}
    found |= {q: _scaled(run.get(k), 1e-3) for q, k in _VLLM_MS.items()}
    tokens, energy = _positive(run.get("total_output_tokens")), _positive(run.get("gpu_energy_j"))
    found["energy_per_output_token_j"] = energy / tokens if energy and tokens else None
    conditions = {
        "model": run.get("model_id"),
        "requests": run.get("completed"),
        "failed": run.get("failed"),
        "input_tokens": run.get("total_input_tokens"),
        "output_tokens": run.get("total_output_tokens"),
        "request_rate": run.get("request_rate"),
        "concurrency": run.get("max_concurrency"),
    }
    return _kept(found), conditions


def guidellm(run: Json) -> tuple[dict[str, float], dict[str, Any]]:
    """Amounts and conditions of one benchmark of a GuideLLM report."""
    metrics = run.get("metrics") or {}
    found = {q: _inverse(_mean(metrics, k)) for q, k in _GUIDE_RATES.items()}
    found |= {q: _scaled(_mean(metrics, k), 1e-3) for q, k in _GUIDE_MS.items()}
    found["request_latency_s"] = _positive(_mean(metrics, "request_latency"))
    totals = metrics.get("request_totals") or {}
    count = totals.get("successful")
    conditions = {
        "requests": count,
        "failed": totals.get("errored"),
        "input_tokens": _product(_mean(metrics, "prompt_token_count"), count),
        "output_tokens": _product(_mean(metrics, "output_token_count"), count),
        "load": strategy(run),
    }
    return _kept(found), conditions


def strategy(run: Json) -> str:
    """The load of one GuideLLM benchmark in words: ``constant 4.0``."""
    for holder in ("config", "args"):
        plan = (run.get(holder) or {}).get("strategy") or {}
        if plan:
            load = next((plan[k] for k in ("rate", "streams", "max_concurrency") if plan.get(k) is not None), "")
            return f"{plan.get('type_', plan.get('kind', 'load'))} {load}".strip()
    return "load not named"


def aiperf(run: Json) -> tuple[dict[str, float], dict[str, Any]]:
    """Amounts and conditions of one AIPerf summary.

    Raises:
        InputError: A run that was cancelled, or the aggregate of several.
    """
    if run.get("was_cancelled"):
        raise InputError("this AIPerf run was cancelled: wanted one that ended")
    found = {q: _inverse(_in_unit(run.get(k), {"requests/sec": 1.0, "tokens/sec": 1.0})) for q, k in _AIPERF_RATES.items()}
    found |= {q: _positive(_in_unit(run.get(k), _S_OF)) for q, k in _AIPERF_TIMES.items()}
    conditions = {
        "requests": _avg(run, "request_count"),
        "failed": _avg(run, "error_request_count"),
        "input_tokens": _avg(run, "total_isl"),
        "output_tokens": _avg(run, "total_osl") or _avg(run, "total_output_tokens"),
    }
    return _kept(found), conditions


READERS: Mapping[str, Callable[[Json], tuple[dict[str, float], dict[str, Any]]]] = {
    "vLLM bench": vllm,
    "GuideLLM": guidellm,
    "AIPerf": aiperf,
}


def tool_of(value: Json) -> str | None:
    """Which tool wrote ``value``; None if none of the three, or no single run."""
    if aggregated(value):
        return None
    if isinstance(value.get("benchmarks"), list):
        return "GuideLLM"
    if isinstance(value.get("request_throughput"), dict) or "aiperf_version" in value:
        return "AIPerf"
    if "request_throughput" in value and "duration" in value:
        return "vLLM bench"
    return None


def aggregated(value: Json) -> bool:
    """Whether this is AIPerf's aggregate of several runs: means without their replicates."""
    about = value.get("metadata")
    return isinstance(about, dict) and "aggregation_type" in about


def _kept(found: Mapping[str, float | None]) -> dict[str, float]:
    """What was read; 0 and below mean that it was not."""
    return {q: v for q, v in found.items() if v is not None}


def _positive(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf") else None


def _inverse(value: Any) -> float | None:
    rate = _positive(value)
    return None if rate is None else 1 / rate


def _scaled(value: Any, factor: float) -> float | None:
    number = _positive(value)
    return None if number is None else number * factor


def _mean(metrics: Json, name: str) -> Any:
    """``metrics.NAME.successful.mean``."""
    return ((metrics.get(name) or {}).get("successful") or {}).get("mean")


def _in_unit(block: Any, factors: Mapping[str, float]) -> float | None:
    """``avg`` of an AIPerf block in our unit.

    Raises:
        InputError: A unit that is not known.
    """
    if not isinstance(block, dict) or block.get("avg") is None:
        return None
    unit = str(block.get("unit", ""))
    if unit not in factors:
        raise InputError(f"unit '{unit}' of an AIPerf metric is not known; known are: {', '.join(factors)}")
    return float(block["avg"]) * factors[unit]


def _avg(run: Json, name: str) -> Any:
    block = run.get(name)
    return block.get("avg") if isinstance(block, dict) else None


def _product(mean: Any, count: Any) -> float | None:
    return None if mean is None or count is None else float(mean) * float(count)
