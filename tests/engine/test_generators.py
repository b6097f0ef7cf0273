"""Load generators as subprocesses: a fake executable in their place, on the real small server."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from deltastack.engine import bench
from deltastack.engine.bench import Order
from deltastack.errors import StageError
from tests.engine.fakes import declared, engine, silent, with_fault

TOOL = str(Path(__file__).with_name("fake_generator.py"))


def load(generator: str, *more: str) -> dict[str, Any]:
    """The fake engine's load, sent by a tool."""
    tool = {"generator": generator, "generator_command": [sys.executable, TOOL, *more], "model": "m"}
    return declared()["load"] | tool | {"fields": {"ignore_eos": True}}


@pytest.mark.parametrize("generator", ["vllm", "aiperf"])
def test_a_tools_records_are_read_as_the_clients(tmp_path: Path, generator: str) -> None:
    """Half a second to the first of three tokens and half after it: half of the time is prefill."""
    found = bench.measure(tmp_path, engine("quant", load=load(generator)), Order(), silent)

    amounts = found.joint[(found.joint["cell"] == "base") & (found.joint["resource"] == "time_s") & (found.joint["block"] == 0)]
    by = amounts.set_index("component")["amount"]
    assert by["prefill"] == pytest.approx(by["decode"])
    counts = found.counters.set_index(["cell", "block", "counter"])["amount"]
    assert counts["base", 0, "output_tokens"] == 9
    assert (counts["base", 0, "ttft_s"], counts["base", 0, "request_s"]) == (0.5, 1.0)


def test_a_tool_is_told_the_load_and_gets_the_key_by_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengths, concurrency and fields are flags; the key is no argument."""
    monkeypatch.setenv("FAKE_KEY", "sesame-1234")

    bench.measure(tmp_path, engine("quant", load=load("vllm"), key_variable="FAKE_KEY"), Order(), silent)

    words, key = json.loads(next((tmp_path / ".run/engine/logs/generator/base").glob("told.json")).read_text())
    assert key == "sesame-1234"
    assert not any("sesame" in w for w in words)
    told = dict(itertools.pairwise(words))
    assert (told["--random-input-len"], told["--random-output-len"], told["--max-concurrency"]) == ("3", "2", "1")
    assert told["--extra-body"] == '{"ignore_eos": true}'
    assert "--ignore-eos" in words


@pytest.mark.parametrize("generator", ["vllm", "aiperf"])
def test_a_tools_429_is_a_fault_of_its_cell(tmp_path: Path, generator: str) -> None:
    """The kind is that of the thin client."""
    one = with_fault("throttle", load=load(generator) | {"warm": 0}, limits={"attempts": 1})

    found = bench.measure(tmp_path, one, Order(only=("storage", "instruction_set")), silent)

    assert found.measured.given_up["instruction_set"].startswith("throttled: 3 of 3 requests")


def test_a_tool_that_fails_is_told_with_its_log(tmp_path: Path) -> None:
    """Its exit status and last words are in the reason."""
    with pytest.raises(StageError, match="vllm ended with 1: generator: no such flag"):
        bench.measure(tmp_path, engine("quant", load=load("vllm", "--broken")), Order(), silent)


def test_aiperf_takes_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would stand on its command line, for every user of the machine to read."""
    from deltastack.errors import ParamsError

    monkeypatch.setenv("FAKE_KEY", "sesame-1234")
    with pytest.raises(ParamsError, match="AIPerf takes the API key on its command line"):
        bench.measure(tmp_path, engine("quant", load=load("aiperf"), key_variable="FAKE_KEY"), Order(), silent)
