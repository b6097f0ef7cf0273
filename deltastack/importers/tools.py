"""Which tool wrote a result, its load points, and its reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deltastack.errors import InputError
from deltastack.importers.formats import aiperf, guidellm, sglang, vllm
from deltastack.importers.readings import inside
from deltastack.importers.reports import inferencex, llmd, mlenergy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from deltastack.importers.formats import Read
    from deltastack.importers.readings import Json

READERS: Mapping[str, Callable[[Json], Read]] = {
    "vLLM bench": vllm,
    "SGLang bench": sglang,
    "GuideLLM": guidellm,
    "AIPerf": aiperf,
    "InferenceX": inferencex,
    "ML.ENERGY": mlenergy,
    "llm-d": llmd,
}


def tool_of(value: Json) -> str | None:
    """Which tool wrote ``value``, one load point; None if none that is known, or no single run."""
    if aggregated(value):
        return None
    marks = {
        "GuideLLM": isinstance(value.get("metrics"), dict) and "scenario" not in value and "aiperf_version" not in value,
        "AIPerf": isinstance(value.get("request_throughput"), dict) or "aiperf_version" in value,
        "InferenceX": "tput_per_gpu" in value or "output_tput_per_gpu" in value,
        "ML.ENERGY": "energy_per_token_joules" in value,
        "llm-d": "scenario" in value and ("results" in value or "metrics" in value),
        "SGLang bench": "mean_e2e_latency_ms" in value or "total_output_tokens_retokenized" in value,
        "vLLM bench": "request_throughput" in value and "duration" in value,
    }
    return next((tool for tool, found in marks.items() if found), None)


def points_of(value: Json) -> list[Json]:
    """The load points of a file that has several; else the value itself.

    Raises:
        InputError: A report without one.
    """
    for name, shared in (("benchmarks", ("args",)), ("configurations", ("model_id", "task", "weight_precision"))):
        points = value.get(name)
        if isinstance(points, list):
            if not points or not all(isinstance(p, dict) for p in points):
                raise InputError(f"a {'GuideLLM' if name == 'benchmarks' else 'ML.ENERGY'} report without a benchmark")
            return [{k: value[k] for k in shared if k in value} | p for p in points]
    return [value]


def aggregated(value: Json) -> bool:
    """Whether this is AIPerf's aggregate of several runs: means without their replicates."""
    about: Any = inside(value, "metadata")
    return isinstance(about, dict) and "aggregation_type" in about
