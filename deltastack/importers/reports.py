"""What published grids and cluster benchmarks write, as amounts of this house.

* InferenceX aggregates: one object a point; throughput per accelerator, so ``time_per_output_token_s`` is accelerator seconds.
* ML.ENERGY leaderboard: one file a model and task, ``configurations`` are load points; joules per output token.
* llm-d benchmark report 0.1 and 0.2: ``mean`` with ``units``; stack and load stand beside the results.

Formats as of InferenceX 2026-08, ML.ENERGY v3 (2026-02), llm-d-benchmark 0.2.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deltastack.importers.readings import RATES, SECONDS, Json, in_unit, inside, inverse, kept, number, plain, positive, rows

if TYPE_CHECKING:
    from deltastack.importers.formats import Read

_INFERENCEX_S = {"time_to_first_token_s": "mean_ttft", "inter_token_latency_s": "mean_itl", "request_latency_s": "mean_e2el"}
_LLMD_TIMES = {
    "time_to_first_token_s": "time_to_first_token",
    "inter_token_latency_s": "inter_token_latency",
    "request_latency_s": "request_latency",
}
_LLMD_RATES = {
    "time_per_output_token_s": ("output_token_rate", "output_tokens_per_sec"),
    "time_per_request_s": ("requests_rate", "request_rate", "requests_per_sec"),
}


def inferencex(run: Json) -> Read:
    """Amounts and conditions of one InferenceX point."""
    found = {"time_per_output_token_s": inverse(run.get("output_tput_per_gpu"), "output_tput_per_gpu")}
    found |= {q: positive(run.get(k), k) for q, k in _INFERENCEX_S.items()}
    parallel = [f"{k} {run[k]}" for k in ("tp", "ep", "dp_attention", "disagg") if plain(run.get(k)) is not None]
    lengths = [f"{k} {run[k]}" for k in ("isl", "osl") if plain(run.get(k)) is not None]
    conditions = {
        "model": plain(run.get("model")),
        "engine": plain(run.get("framework")),
        "hardware": plain(run.get("hw")),
        "precision": plain(run.get("precision")),
        "speculation": plain(run.get("spec_decoding") or run.get("mtp")),
        "parallel": ", ".join(parallel) or None,
        "dataset": ", ".join(lengths) or None,
        "concurrency": plain(run.get("conc")),
    }
    return kept(found), conditions


def mlenergy(run: Json) -> Read:
    """Amounts and conditions of one configuration of an ML.ENERGY file (with the file's model and task put into it)."""
    found = {
        "energy_per_output_token_j": positive(run.get("energy_per_token_joules"), "energy_per_token_joules"),
        "time_per_output_token_s": inverse(run.get("output_throughput_tokens_per_sec"), "output_throughput_tokens_per_sec"),
    }
    parts = inside(run, "parallelization") or {}
    parallel = [f"{k} {parts[k]}" for k in ("tensor_parallel", "expert_parallel", "data_parallel") if plain(inside(parts, k))]
    gpu = plain(run.get("gpu_model"))
    conditions = {
        "model": plain(run.get("model_id")),
        "dataset": plain(run.get("task")),
        "hardware": None if gpu is None else f"{gpu} x{run.get('num_gpus', '?')}",
        "precision": plain(run.get("weight_precision")),
        "parallel": ", ".join(parallel) or None,
        "concurrency": plain(run.get("max_num_seqs")),
    }
    return kept(found), conditions


def llmd(run: Json) -> Read:
    """Amounts and conditions of one llm-d benchmark report."""
    results = inside(run, "results", "request_performance", "aggregate") or inside(run, "metrics") or {}
    found: dict[str, float | None] = {}
    for quantity, name in _LLMD_TIMES.items():
        found[quantity] = in_unit(inside(results, "latency", name), name, SECONDS, at="mean", unit="units")
    for quantity, names in _LLMD_RATES.items():
        rates = (_rate(inside(results, "throughput", n), n) for n in names)
        found[quantity] = next((1 / r for r in rates if r is not None), None)
    requests = number(inside(results, "requests", "total"), "requests.total")
    return kept(found), {
        "requests": requests,
        "failed": number(inside(results, "requests", "failures"), "requests.failures"),
        "input_tokens": _total(results, "input_length", requests),
        "output_tokens": _total(results, "output_length", requests),
        **_scenario(run),
    }


def _scenario(run: Json) -> dict[str, Any]:
    stack = [s for s in rows(run, "scenario", "stack") if inside(s, "standardized", "model")]
    engines = [s["standardized"] for s in stack]
    boards = [
        f"{inside(e, 'accelerator', 'model')} x{inside(e, 'accelerator', 'count')}" for e in engines if inside(e, "accelerator")
    ]
    parallel = [str(inside(e, "accelerator", "parallelism")) for e in engines if inside(e, "accelerator", "parallelism")]
    load = inside(run, "scenario", "load", "standardized") or {}
    return {
        "model": _listed(inside(e, "model", "name") for e in engines) or plain(inside(run, "scenario", "model", "name")),
        "engine": _listed(inside(e, "tool") for e in engines),
        "hardware": ", ".join(boards) or None,
        "parallel": ", ".join(parallel) or None,
        "load": plain(inside(load, "tool")),
        "request_rate": plain(inside(load, "rate_qps")),
        "concurrency": plain(inside(load, "concurrency")),
    }


def _listed(values: Any) -> str | None:
    return ", ".join(dict.fromkeys(str(v) for v in values if v)) or None


def _rate(block: Any, name: str) -> float | None:
    """A rate with or without a unit beside it."""
    return in_unit(block, name, RATES, at="mean", unit="units") if isinstance(block, dict) else positive(block, name)


def _total(results: Any, name: str, requests: float | None) -> float | None:
    mean = number(inside(results, "requests", name, "mean"), name)
    return None if mean is None or requests is None else mean * requests
