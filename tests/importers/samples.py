"""Small results in the shapes of three load generators, with made-up numbers."""

from __future__ import annotations

from typing import Any


def vllm(rate: float = 10.0, tokens: int = 5000, energy_j: float | None = None, **more: Any) -> dict[str, Any]:
    """``vllm bench serve --save-result``."""
    value = {
        "date": "20261101-120000",
        "backend": "openai",
        "model_id": "org/model",
        "num_prompts": 50,
        "request_rate": "inf",
        "max_concurrency": 8,
        "duration": 50 / rate,
        "completed": 50,
        "failed": 0,
        "total_input_tokens": 10000,
        "total_output_tokens": tokens,
        "request_throughput": rate,
        "output_throughput": tokens * rate / 50,
        "mean_ttft_ms": 200.0,
        "mean_itl_ms": 20.0,
    }
    return value | ({"gpu_energy_j": energy_j} if energy_j is not None else {}) | more


def guidellm(*rates: float, ttft_ms: float = 100.0) -> dict[str, Any]:
    """A GuideLLM report with one benchmark a rate."""

    def spread(mean: float) -> dict[str, Any]:
        return {"successful": {"mean": mean, "count": 40}, "errored": {"mean": 0.0, "count": 0}, "total": {"mean": mean}}

    def point(rate: float) -> dict[str, Any]:
        metrics = {
            "request_totals": {"successful": 40, "incomplete": 1, "errored": 0, "total": 41},
            "requests_per_second": spread(rate),
            "output_tokens_per_second": spread(100 * rate),
            "request_latency": spread(1.5),
            "time_to_first_token_ms": spread(ttft_ms),
            "inter_token_latency_ms": spread(12.0),
            "prompt_token_count": spread(256.0),
            "output_token_count": spread(100.0),
        }
        return {"config": {"strategy": {"type_": "constant", "rate": rate}}, "metrics": metrics}

    return {"metadata": {"guidellm_version": "0.8.1"}, "args": {}, "benchmarks": [point(r) for r in rates]}


def aiperf(rate: float = 2.0, unit: str = "requests/sec", **more: Any) -> dict[str, Any]:
    """``profile_export_aiperf.json``."""
    return {
        "schema_version": "1.5",
        "aiperf_version": "0.13.0",
        "was_cancelled": False,
        "request_throughput": {"unit": unit, "avg": rate},
        "output_token_throughput": {"unit": "tokens/sec", "avg": 64 * rate},
        "request_latency": {"unit": "ms", "avg": 2600.0, "p99": 3300.0, "std": 290.0, "count": 20},
        "time_to_first_token": {"unit": "ms", "avg": 310.0, "count": 20},
        "request_count": {"unit": "requests", "avg": 20.0},
    } | more
