"""Results of other tools read as layers: amounts by hand, repeats and their interval, a loud n = 1, and what is refused."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from deltastack import statistics
from deltastack.cli.main import main
from deltastack.contracts import IMPORTED
from deltastack.errors import InputError
from deltastack.importers import read, row_words, savings, table
from tasks import aggregate, imported
from tests.importers.samples import aiperf, guidellm, vllm
from tests.report.project import ROOT, finished

if TYPE_CHECKING:
    from pathlib import Path


def put(path: Path, *values: Any) -> Path:
    """JSON values one after another."""
    path.write_text("\n".join(json.dumps(v) for v in values))
    return path


def test_vllm_by_hand(tmp_path: Path) -> None:
    """10 requests/s, 1000 tokens/s, 400 J: 0.1 s a request, 1 ms and 0.08 J an output token, 0.2 s to the first one."""
    (run,) = read(put(tmp_path / "a.json", vllm(energy_j=400.0)))

    assert run.tool == "vLLM bench"
    assert run.amounts == pytest.approx(
        {
            "time_per_request_s": 0.1,
            "time_per_output_token_s": 1e-3,
            "energy_per_output_token_j": 0.08,
            "time_to_first_token_s": 0.2,
            "inter_token_latency_s": 0.02,
        }
    )


def test_guidellm_by_hand(tmp_path: Path) -> None:
    """4 requests/s of 100 tokens: 0.25 s and 2.5 ms; a first-token time of 0 was not observed and is left out."""
    (run,) = read(put(tmp_path / "a.json", guidellm(4.0, ttft_ms=0.0)))

    assert run.amounts == pytest.approx(
        {"time_per_request_s": 0.25, "time_per_output_token_s": 0.0025, "inter_token_latency_s": 0.012, "request_latency_s": 1.5}
    )
    assert run.conditions["load"] == "constant 4.0"


def test_aiperf_by_hand(tmp_path: Path) -> None:
    """2 requests/s of 64 tokens; 2600 ms are 2.6 s; the unit decides, an unknown one is refused."""
    (run,) = read(put(tmp_path / "a.json", aiperf()))

    assert run.amounts == pytest.approx(
        {"time_per_request_s": 0.5, "time_per_output_token_s": 1 / 128, "time_to_first_token_s": 0.31, "request_latency_s": 2.6}
    )
    (run,) = read(put(tmp_path / "b.json", aiperf(request_latency={"unit": "s", "avg": 2.6})))
    assert run.amounts["request_latency_s"] == pytest.approx(2.6)
    with pytest.raises(InputError, match="unit 'requests/min' of an AIPerf metric is not known"):
        read(put(tmp_path / "c.json", aiperf(unit="requests/min")))


def test_twice_as_fast_saves_half(tmp_path: Path) -> None:
    """One repeat a side: half of the time a request, no interval, and it says so loudly."""
    sides = [read(put(tmp_path / f"{r}.json", vllm(r))) for r in (10.0, 20.0)]
    found = {s.quantity: s for s in savings(table("fp8", *sides), 0.95)}

    saved = found["time_per_request_s"]
    assert saved.delta[:3] == (pytest.approx(0.5), None, None)
    assert found["time_to_first_token_s"].delta.value == pytest.approx(0.0)
    assert row_words(saved).endswith("(1 before, 1 after; vLLM bench; n = 1: NO INTERVAL, this may be noise)")


def test_repeats_give_an_interval(tmp_path: Path) -> None:
    """Three appended repeats a side: Welch's interval in logs; paired ones the paired interval."""
    rates = ([10.0, 10.5, 9.8], [20.0, 21.5, 19.0])
    sides = [read(put(tmp_path / f"{i}.json", *map(vllm, r))) for i, r in enumerate(rates)]
    amounts = [[1 / x for x in r] for r in rates]

    loose = savings(table("fp8", *sides), 0.95)[1].delta
    assert loose.low == pytest.approx(statistics.log_ratio_unpaired(*amounts).low)
    tied = savings(table("fp8", *sides, paired=True), 0.95)[1].delta
    assert tied.low == pytest.approx(statistics.log_ratio(*amounts).low)
    assert loose.value == pytest.approx(1 - math.prod(a / b for b, a in zip(*amounts, strict=True)) ** (1 / 3))


def test_an_unequal_number_of_repeats_leaves_nulls_with_a_reason(tmp_path: Path) -> None:
    """Two before, three after: the third row has no base, and says why; pairs are refused."""
    before = read(put(tmp_path / "a.json", vllm(10.0), vllm(10.5)))
    after = read(put(tmp_path / "b.json", vllm(20.0), vllm(21.0), vllm(20.5)))
    frame = table("fp8", before, after)

    last = frame[(frame.quantity == "time_per_request_s") & (frame.replicate == 2)].iloc[0]
    assert last.reason == "no further repeat on this side"
    assert (savings(frame, 0.95)[1].before, savings(frame, 0.95)[1].after) == (2, 3)
    with pytest.raises(InputError, match="--paired wants one --after for each --before; found 2 and 3"):
        table("fp8", before, after, paired=True)


def test_differing_conditions_are_loud(tmp_path: Path) -> None:
    """Another concurrency and 10 % more output tokens stand in capitals; half a percent does not."""
    before = read(put(tmp_path / "a.json", vllm(10.0)))
    after = read(put(tmp_path / "b.json", vllm(20.0, tokens=5500, max_concurrency=16, total_input_tokens=10050, failed=2)))
    said = savings(table("fp8", before, after), 0.95)[0].conditions

    assert "SIDES DIFFER: output_tokens 5000 before, 5500 after; concurrency 8 before, 16 after" in said
    assert "2 failed requests in b.json" in said
    assert "input_tokens" not in said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"hello": 1}, r"keys of no known tool \(hello\); wanted a result of `vllm bench serve"),
        ([1], "found a JSON list"),
        (vllm(completed=0, request_throughput=0.0, output_throughput=0.0), "without one completed request"),
        (aiperf(was_cancelled=True), "this AIPerf run was cancelled"),
        (
            {"aiperf_version": "0.13.0", "metadata": {"aggregation_type": "confidence"}, "metrics": {}},
            "AIPerf's aggregate of several runs; give the profile_export",
        ),
        (
            guidellm(1.0, 2.0),
            r"^[^:]*a\.json: 2 load points, which are no repeats; choose one with --point \(0: constant 1.0; 1: constant 2.0\)",
        ),
        (guidellm(), "without a benchmark"),
    ],
)
def test_what_is_refused(tmp_path: Path, value: Any, said: str) -> None:
    """Each in one line that says what was wanted."""
    with pytest.raises(InputError, match=said):
        read(put(tmp_path / "a.json", value))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """No file, no JSON, nothing in it."""
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "nobody.json")
    for text, said in (("{", "not JSON"), ("  \n", "empty")):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(InputError, match=said):
            read(tmp_path / "a.json")


def test_a_load_point_is_chosen(tmp_path: Path) -> None:
    """The second of two; there is no third. Tools are never mixed."""
    path = put(tmp_path / "a.json", guidellm(1.0, 2.0))

    assert read(path, point=1)[0].amounts["time_per_request_s"] == pytest.approx(0.5)
    with pytest.raises(InputError, match=r"no load point 2; there are 0: constant 1\.0"):
        read(path, point=2)
    with pytest.raises(InputError, match=r"results of different tools \(GuideLLM, vLLM bench\)"):
        table("x", read(path, point=0), read(put(tmp_path / "b.json", vllm())))


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """``import`` writes a table that holds its contract and prints the saving; a bad layer name exits 2."""
    monkeypatch.chdir(finished(tmp_path / "here"))
    before, after = put(tmp_path / "a.json", vllm(10.0)), put(tmp_path / "b.json", vllm(20.0))

    def call(layer: str, *more: str) -> tuple[int, str, str]:
        words = ["deltastack", "import", "--layer", layer, "--before", str(before), "--after", str(after), *more]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(str(stop.value.code or 0)), out, err

    code, out, _ = call("fp8", "--json")
    assert code == 0
    assert json.loads(out)["savings"][0]["delta"] == pytest.approx(0.5)
    assert len(IMPORTED.read(tmp_path / "here/data/imported/fp8.parquet")) == 4
    assert "n = 1" in call("fp8")[1]
    code, _, err = call("FP 8")
    assert (code, err.count("\n")) == (2, 1)


def test_the_graph_knows_of_imports(tmp_path: Path) -> None:
    """The stage that writes the page depends on their folder, which every checkout has, and its page shows them."""
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    root = finished(tmp_path / "here")
    sides = (put(tmp_path / "a.json", vllm(10.0)), put(tmp_path / "b.json", vllm(20.0)))
    imported.write(root, "fp8", sides[:1], sides[1:])
    aggregate.run(root)

    assert imported.FOLDER in graph["stages"]["aggregate"]["deps"]
    assert (ROOT / imported.FOLDER / ".gitignore").read_text() == "*\n!.gitignore\n"
    assert "<td>fp8</td>" in (root / "reports/report.html").read_text()


def test_imported_layers_are_listed_and_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was imported is listed; what is taken out is gone, and asked for again is refused with what there is."""
    root = finished(tmp_path / "here")
    monkeypatch.chdir(root)
    sides = (put(tmp_path / "a.json", vllm(10.0)), put(tmp_path / "b.json", vllm(20.0)))
    for layer in ("fp8", "nvfp4"):
        imported.write(root, layer, sides[:1], sides[1:])

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["deltastack", "imported", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(str(stop.value.code or 0)), *capsys.readouterr()

    assert {line.split()[0] for line in call()[1].splitlines()} == {"fp8", "nvfp4"}
    assert call("--remove", "fp8")[:2] == (
        0,
        "data/imported/fp8.parquet is gone; `deltastack report` leaves it out now, and every later `deltastack run`\n",
    )
    assert imported.layers(root) == ("nvfp4",)
    assert call("--remove", "../../params/stack")[0] == 2
    assert call("--remove", "fp8")[2] == "deltastack: no imported layer 'fp8'; there are: nvfp4\n"
    assert json.loads(call("--json")[1])[0]["layer"] == "nvfp4"


def test_a_key_given_twice_is_no_result(tmp_path: Path) -> None:
    """JSON's own reader would take the last one without a word."""
    (tmp_path / "a.json").write_text(json.dumps(vllm()).replace("{", '{"request_throughput": 3, ', 1))
    with pytest.raises(InputError, match=r"a\.json: not JSON \(key 'request_throughput' is given twice; keep one of them\)"):
        read(tmp_path / "a.json")
