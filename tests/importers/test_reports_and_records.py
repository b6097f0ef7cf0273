"""Reports of grids and clusters, records of single requests, and runs that must not be compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from deltastack.errors import FactorialError, InputError
from deltastack.importers import read, refuse_twice, refuse_unlike
from deltastack.own_runs import analyse
from tests.importers.samples import aiperf, vllm

if TYPE_CHECKING:
    from pathlib import Path


def put(path: Path, value: Any) -> Path:
    """``value`` as JSON in ``path``."""
    path.write_text(json.dumps(value))
    return path


def sglang(**more: Any) -> dict[str, Any]:
    """``sglang.bench_serving``: end-to-end latency under another name, no model."""
    value = {k: v for k, v in vllm().items() if k not in {"model_id", "date"}}
    return value | {"backend": "sglang", "mean_e2e_latency_ms": 1000.0, "total_output_tokens_retokenized": 4990} | more


def record(start_s: float, end_s: float, tokens: int = 100, **more: Any) -> dict[str, Any]:
    """One line of ``profile_export.jsonl``."""
    return {
        "metadata": {"benchmark_phase": "profiling", "request_start_ns": int(start_s * 1e9), "request_end_ns": int(end_s * 1e9)},
        "metrics": {
            "request_latency": {"value": 1000 * (end_s - start_s), "unit": "ms"},
            "time_to_first_token": {"value": 50.0, "unit": "ms"},
            "output_sequence_length": {"value": tokens, "unit": "tokens"},
            "input_sequence_length": {"value": 10, "unit": "tokens"},
        },
        "error": None,
    } | more


def test_sglang_by_hand(tmp_path: Path) -> None:
    """10 requests/s are 0.1 s; 1,000 ms end to end are 1 s; it is told from vLLM."""
    (run,) = read(put(tmp_path / "a.json", sglang()))

    assert (run.tool, run.conditions["engine"]) == ("SGLang bench", "sglang")
    assert run.amounts["time_per_request_s"] == pytest.approx(0.1)
    assert run.amounts["request_latency_s"] == pytest.approx(1.0)


def test_records_by_hand(tmp_path: Path) -> None:
    """Two requests from 0 to 4 s, 1 s and 3 s long: 2 s a request, 4 s / 300 tokens; warm-up and failures do not count."""
    warm = record(0, 9) | {"metadata": {"benchmark_phase": "warmup"}}
    lines = [record(0, 1), record(1, 4, 200), record(0, 9, error={"code": 500}), warm]
    path = tmp_path / "profile_export.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    put(
        tmp_path / "profile_export_aiperf.json",
        aiperf(input_config={"endpoint": {"model_names": ["m"]}, "loadgen": {"concurrency": 4}}),
    )
    (run,) = read(path)

    assert run.amounts["time_per_request_s"] == pytest.approx(2.0)
    assert run.amounts["time_per_output_token_s"] == pytest.approx(4 / 300)
    assert run.amounts["request_latency_s"] == pytest.approx(2.0)
    assert run.amounts["time_to_first_token_s"] == pytest.approx(0.05)
    assert (run.conditions["requests"], run.conditions["failed"]) == (2, 1)
    assert (run.conditions["model"], run.conditions["concurrency"]) == ("m", 4)
    path.write_text(json.dumps(warm))
    with pytest.raises(InputError, match="without one completed request"):
        read(path)


def test_inferencex_by_hand(tmp_path: Path) -> None:
    """250 output tokens/s an accelerator are 4 ms of it a token; 0.2 s to the first."""
    point = {"hw": "h200", "tp": 8, "conc": 16, "model": "m", "framework": "vllm", "precision": "fp8", "spec_decoding": "none"}
    point |= {"tput_per_gpu": 900.0, "output_tput_per_gpu": 250.0, "mean_ttft": 0.2, "isl": 1024, "osl": 1024}
    (run,) = read(put(tmp_path / "agg.json", point))

    assert run.tool == "InferenceX"
    assert run.amounts == pytest.approx({"time_per_output_token_s": 0.004, "time_to_first_token_s": 0.2})
    assert run.conditions["parallel"] == "tp 8"
    with pytest.raises(InputError, match=r"unlike runs: precision fp8 in agg\.json, fp4 in b\.json; .* --differs precision$"):
        refuse_unlike([run, *read(put(tmp_path / "b.json", point | {"precision": "fp4"}))])


def test_mlenergy_by_hand(tmp_path: Path) -> None:
    """Two configurations are load points; the second takes 0.5 J and 1/200 s a token."""
    shared = {"gpu_model": "H100", "num_gpus": 1, "parallelization": {"tensor_parallel": 1}}
    points = [
        shared | {"max_num_seqs": n, "energy_per_token_joules": e, "output_throughput_tokens_per_sec": r}
        for n, e, r in ((8, 1.0, 100.0), (16, 0.5, 200.0))
    ]
    path = put(tmp_path / "m.json", {"model_id": "m", "task": "image-chat", "configurations": points})
    with pytest.raises(InputError, match=r"2 load points, which are no repeats; choose one with --point \(0: gpu_model H100"):
        read(path)
    (run,) = read(path, point=1)

    assert run.tool == "ML.ENERGY"
    assert run.amounts == pytest.approx({"energy_per_output_token_j": 0.5, "time_per_output_token_s": 0.005})
    assert (run.conditions["model"], run.conditions["concurrency"], run.conditions["hardware"]) == ("m", 16, "H100 x1")


def test_llmd_by_hand(tmp_path: Path) -> None:
    """20 tokens/s are 0.05 s a token; 40 ms to the first token; model, board and load stand in the scenario."""
    path = tmp_path / "report.yaml"
    path.write_text("""
version: '0.2'
scenario:
  stack:
  - standardized: {tool: vllm, model: {name: m}, accelerator: {model: H100, count: 8, parallelism: {tp: 8}}}
  load: {standardized: {tool: inference-perf, rate_qps: 10, concurrency: .inf}}
results:
  request_performance:
    aggregate:
      requests: {total: 500, failures: 0, input_length: {mean: 100}, output_length: {mean: 10}}
      throughput:
        output_token_rate: {units: tokens/s, mean: 20}
        requests_rate: {units: queries/s, mean: 2}
      latency:
        time_to_first_token: {units: ms, mean: 40}
        inter_token_latency: {units: s/token, mean: 0.01}
""")
    (run,) = read(path)

    assert run.tool == "llm-d"
    assert run.amounts == pytest.approx(
        {
            "time_per_output_token_s": 0.05,
            "time_per_request_s": 0.5,
            "time_to_first_token_s": 0.04,
            "inter_token_latency_s": 0.01,
        }
    )
    assert (run.conditions["model"], run.conditions["hardware"], run.conditions["request_rate"]) == ("m", "H100 x8", 10)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (vllm(11.0, max_concurrency=None), "concurrency 8 in a.json, unlimited in b.json"),
        (vllm(11.0, model_id="org/other"), "model org/model in a.json, org/other in b.json"),
        (vllm(11.0, backend="sglang"), "engine openai in a.json, sglang in b.json"),
        (vllm(11.0, tp=2), "parallel 1 in a.json, 2 in b.json"),
        (vllm(11.0, gpu="L4"), "hardware H100 in a.json, L4 in b.json"),
        (vllm(11.0, request_rate=4.0), "request_rate inf in a.json, 4 in b.json"),
        (vllm(11.0, total_input_tokens=20000), "input_length 200 in a.json, 400 in b.json"),
        (sglang(), r"different tools \(SGLang bench, vLLM bench\)"),
    ],
)
def test_unlike_runs_are_refused(tmp_path: Path, other: dict[str, Any], said: str) -> None:
    """What differs is named with both values; a flag lets it pass, but never two tools."""
    runs = [*read(put(tmp_path / "a.json", vllm(tp=1, hardware="H100"))), *read(put(tmp_path / "b.json", other))]

    with pytest.raises(InputError, match=said) as caught:
        refuse_unlike(runs)
    if "tools" not in said:
        refuse_unlike(runs, differs=[said.split(" ", maxsplit=1)[0]])
        assert f"--differs {said.split(' ', maxsplit=1)[0]}" in str(caught.value)
    with pytest.raises(InputError, match="--differs colour: no such condition"):
        refuse_unlike(runs, differs=["colour"])


def test_a_rate_is_no_concurrency(tmp_path: Path) -> None:
    """AIPerf states the one or the other; the two loads are unlike, unless the difference is named."""
    phases = [{"name": "profiling", "concurrency": 16}, {"name": "profiling", "rate": 4.0}]
    files = [put(tmp_path / f"{n}.json", aiperf(input_config={"phases": [p]})) for n, p in zip("ab", phases, strict=True)]
    runs = [run for f in files for run in read(f)]

    with pytest.raises(InputError, match=r"unlike runs: load concurrency 16 in a\.json, request_rate 4 in b\.json"):
        refuse_unlike(runs)
    refuse_unlike(runs, differs=["load"])
    refuse_unlike([runs[0], runs[0]])


def test_one_result_counts_once(tmp_path: Path) -> None:
    """Twice on a side it is no repeat, on both sides no change."""
    (run,) = read(put(tmp_path / "a.json", vllm()))
    (other,) = read(put(tmp_path / "b.json", vllm(20.0)))

    refuse_twice([run], [other])
    with pytest.raises(InputError, match=r"a\.json holds the same result as a\.json: it is no repeat"):
        refuse_twice([run, run], [other])
    with pytest.raises(InputError, match="stands on both sides"):
        refuse_twice([run], [run])


def test_an_appended_sweep_is_no_repeats_and_a_list_is(tmp_path: Path) -> None:
    """Three concurrencies one after another are load points; a list of one load is repeats."""
    path = tmp_path / "a.json"
    path.write_text("\n".join(json.dumps(vllm(max_concurrency=c)) for c in (1, 8, 64)))
    with pytest.raises(InputError, match=r"3 load points, which are no repeats; choose one with --point \(0: concurrency 1;"):
        read(path)
    assert [r.conditions["concurrency"] for r in read(path, point=1)] == [8]
    assert len(read(put(tmp_path / "b.json", [vllm(4.0), vllm(4.1)]))) == 2


@pytest.mark.parametrize("bad", [[1], {"a": 1}, "fast", True, 10**400])
@pytest.mark.parametrize("field", ["request_throughput", "time_to_first_token", "error_request_count"])
def test_a_reading_that_is_no_number(tmp_path: Path, field: str, bad: Any) -> None:
    """One line that names the field, not a traceback."""
    unit = "requests/sec" if field == "request_throughput" else "ms"
    with pytest.raises(InputError, match=rf"AIPerf result: {field} ") as caught:
        read(put(tmp_path / "a.json", aiperf(**{field: {"unit": unit, "avg": bad}})))
    assert "\n" not in str(caught.value)


def test_a_folder_of_results_with_a_map(tmp_path: Path) -> None:
    """10, 20, 12.5 and 20 requests/s: alone 50 % and 20 %, together 50 %, where the product says 60 %."""
    for cell, rate in (("00", 10.0), ("10", 20.0), ("01", 12.5), ("11", 20.0)):
        for n in (1, 2):
            put(tmp_path / f"run-{cell}-{n}.json", vllm(rate * (1 + n / 1000)))
    plan = tmp_path / "map.yaml"
    plan.write_text("layers: [fp8, spec]\nmetric: time_per_request_s\ncells: {'00': run-00-*.json, '10': run-10-*.json, ")
    whole = plan.read_text() + "'01': run-01-*.json, '11': run-11-*.json}\n"
    plan.write_text(whole)
    found = analyse(tmp_path, mapping=plan).only

    assert found.alone["fp8"].delta == pytest.approx(0.5)
    assert found.gap["independent"].delta == pytest.approx(0.1)
    assert found.gap["independent"].lo is not None
    put(tmp_path / "run-11-2.json", vllm(20.0, max_concurrency=16))
    with pytest.raises(FactorialError, match="unlike runs: concurrency 8"):
        analyse(tmp_path, mapping=plan)
    assert analyse(tmp_path, mapping=plan, differs=["concurrency"]).only.joint.n == 2
    for text, said in (
        (whole.replace("run-11-*.json", "run-12-*.json"), "no file matches 'run-12-"),
        (whole.replace("run-11-*.json", "run-10-*.json"), "each result counts once; correct the map"),
        (whole.replace("'11'", "'111'"), "wanted 2 digits 0 or 1"),
        (whole.replace(", '11': run-11-*.json", ""), "missing cell fp8=1 spec=1"),
    ):
        plan.write_text(text)
        with pytest.raises(FactorialError, match=said):
            analyse(tmp_path, mapping=plan, differs=["concurrency"])
    with pytest.raises(FactorialError, match="wants --map FILE"):
        analyse(tmp_path)
