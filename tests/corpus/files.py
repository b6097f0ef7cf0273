"""Files of every kind that is read here, damaged or absurd: how they are made, and who reads them."""

from __future__ import annotations

import asyncio
import copy
import functools
import io
import json
import struct
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from deltastack import contracts, importers
from deltastack.contracts import IMPORTED, WORKLOAD
from deltastack.engine.answer import Answer
from deltastack.engine.llamacpp import counters, smollm, weights
from deltastack.errors import EvidenceError
from deltastack.fleet.calibration import rows as calibration
from deltastack.own_runs import case_reader, table_reader
from deltastack.recording import bundle
from deltastack.testbed.switches import tensors
from deltastack.workload import lengths, readers
from deltastack.workload.images import ImageRule
from tests.importers.samples import aiperf, guidellm, vllm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import pandas as pd

    from deltastack.contracts import Contract

RULE = ImageRule(tokens_per_image=196, least_text_tokens=16)
WORDS = [
    "",
    "abc",
    "-5",
    "0",
    "4.5",
    "1e3",
    "1e400",
    "-1e400",
    "nan",
    "inf",
    "9" * 30,
    "9" * 5000,
    "1_000",
    "0x10",
    " 5 ",
    '"1,000"',
]
WORDS += [
    "=1+1",
    "\x1b[2J",
    "<b>",
    "٣",
    "\x00",
    "../../etc/passwd",
    "2023-02-30",
    "9999-12-31 23:59:59",
    "0000-01-01",
    "NaT",
    "true",
]
ABSURD: list[Any] = [
    None,
    True,
    "abc",
    "12",
    [],
    [1],
    {},
    {"a": 1},
    -7,
    0,
    10**18,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "<b>",
]
MOST_EXAMPLES = 60


class Kind(NamedTuple):
    """One kind of file: what is made of it, under which name, and its reader."""

    name: str
    made: st.SearchStrategy[bytes]
    read: Callable[[Path], object]


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """``whole`` with bits flipped, cut, or with a piece of it where it does not belong."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        how = draw(st.sampled_from(["flip", "cut", "again", "zero"]))
        if how == "flip":
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "cut":
            del data[at : at + draw(st.integers(1, 40))]
        elif how == "again":
            data[at:at] = data[max(at - 20, 0) : at]
        else:
            data[at : at + 8] = b"\0" * 8
    return bytes(data)


@st.composite
def csv_of(draw: st.DrawFn, header: str, row: str) -> bytes:
    """A table in which some cells are absurd, and some rows of another length."""
    lines = [header]
    for _ in range(draw(st.integers(0, 4))):
        cells = row.split(",")
        for _ in range(draw(st.integers(0, 2))):
            cells[draw(st.integers(0, len(cells) - 1))] = draw(st.sampled_from(WORDS))
        lines.append(",".join(cells[: draw(st.integers(len(cells) - 1, len(cells)))] + draw(st.lists(st.just("1"), max_size=1))))
    return draw(st.sampled_from(["\n", "\r\n", "\r"])).join(lines).encode()


@st.composite
def json_of(draw: st.DrawFn, whole: dict[str, Any]) -> bytes:
    """An object in which a place or two hold something else; sometimes a key twice, or text that is no JSON."""
    value = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 2))):
        _replace_one(draw, value)
    text = json.dumps(value)
    twice = text.replace("}", ', "model": 1}', 1)
    return draw(st.sampled_from([text, text, text, text[:-3], text + text, "[" * 50_000, twice])).encode()


def _replace_one(draw: st.DrawFn, holder: Any) -> None:
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    if not keys:
        return
    key = draw(st.sampled_from(keys))
    if isinstance(holder[key], dict | list) and holder[key] and draw(st.booleans()):
        _replace_one(draw, holder[key])
    else:
        holder[key] = copy.deepcopy(draw(st.sampled_from(ABSURD)))


@st.composite
def tensor_file(draw: st.DrawFn) -> bytes:
    """A safetensors file whose header lies."""
    number = st.sampled_from([0, 4, 16, -1, 2**63, 10**30, 1.5, "4", None, True])
    one = {
        "dtype": draw(st.sampled_from(["F32", "F64", "BF16", "", "X", None, 3])),
        "shape": draw(st.lists(number, max_size=3)),
        "data_offsets": draw(st.lists(number, max_size=3)),
    }
    header = draw(st.sampled_from([{"w": one}, {"w": one, "__metadata__": 3}, [one], {"w": 3}, 3, {"../../w": one}]))
    text = json.dumps(header).encode()
    length = draw(st.sampled_from([len(text), len(text), len(text), 0, 1, len(text) + 50, 2**63, 2**64 - 1]))
    return struct.pack("<Q", length) + text + b"\0" * draw(st.integers(0, 32))


@st.composite
def bundle_file(draw: st.DrawFn) -> bytes:
    """A zip with names, sizes and manifests that no bundle has."""
    file = io.BytesIO()
    names = [
        "manifest.json",
        "tables/joint.parquet",
        "../../x",
        "/etc/x",
        "a\\..\\b",
        "tables/joint.parquet/../x",
        "params/a.yaml",
    ]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)):
            entry = zipfile.ZipInfo(name)
            if draw(st.booleans()) and name != "manifest.json":
                entry.external_attr = 0o120777 << 16  # a symbolic link
            content = draw(st.sampled_from([b"{}", b"[1]", b"\0" * 3_000_000, b'{"format": 3}', b"\xff", b"PAR1"]))
            out.writestr(entry, content, zipfile.ZIP_DEFLATED)
    whole = file.getvalue()
    return draw(st.one_of(st.just(whole), damaged(whole)))


class _Response:
    """A server's answer, line by line."""

    def __init__(self, data: bytes) -> None:
        self._lines = data.decode(errors="replace").splitlines()

    async def aiter_lines(self) -> AsyncIterator[str]:
        """Its lines."""
        for line in self._lines:
            yield "data: " + line


def engine_answer(path: Path) -> None:
    """An answer as the client takes it: what the client turns into a failed request is no fault."""
    try:
        asyncio.run(Answer().read(_Response(path.read_bytes()), 0.0))  # type: ignore[arg-type]
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError) as error:
        raise EvidenceError(f"a failed request: {type(error).__name__}") from error


def engine_counts(path: Path) -> None:
    """Counts of an answer, or counters of an engine."""
    try:
        body = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        counters.of_metrics(path.read_text(errors="replace"))
        return
    counters.of_answer(body if isinstance(body, dict) else {})


def factorial(path: Path) -> None:
    """A person's own runs."""
    table_reader.experiments(table_reader.read_csv(path))


def tensors_of(path: Path) -> None:
    """A safetensors header as the testbed reads it, then the whole file as the engine does."""
    with path.open("rb") as file:
        tensors.listed(file)
    weights.safetensors(path)


def trace(path: Path) -> None:
    """A trace in whatever format it seems to be."""
    readers.read(path, RULE)


def _written(contract: Contract, frame: pd.DataFrame) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        contract.write(frame, path)
        return path.read_bytes()


def _workload() -> bytes:
    return _written(WORKLOAD, WORKLOAD.frame([(k, float(k), 0, 0, 100, 5, None, None, None) for k in range(3)]))


def _imported() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        sides = []
        for name, rate in (("a", 10.0), ("b", 20.0)):
            path = Path(folder) / f"{name}.json"
            path.write_text(json.dumps(vllm(rate)))
            sides.append(importers.read(path))
    return _written(IMPORTED, importers.table("x", *sides))


OTHER_TABLES = ("USAGE", "DELTA", "JOINT", "COUNTER", "QUALITY", "SCENES", "SWEEP", "TOTAL")


def _empty(name: str) -> Kind:
    """A table of that contract without rows, damaged: its header, its schema and its stamp."""
    contract: Contract = getattr(contracts, name)
    return Kind(f"{contract.name}.parquet", damaged(_written(contract, contract.empty())), contract.read)


SGLANG = {k: v for k, v in vllm().items() if k not in {"model_id", "date"}} | {"backend": "sglang", "mean_e2e_latency_ms": 1000.0}
INFERENCEX = {
    "hw": "h200",
    "tp": 8,
    "conc": 16,
    "model": "m",
    "framework": "vllm",
    "precision": "fp8",
    "spec_decoding": "none",
    "tput_per_gpu": 900.0,
    "output_tput_per_gpu": 250.0,
    "mean_ttft": 0.2,
    "isl": 1024,
    "osl": 1024,
}
MLENERGY = {
    "model_id": "m",
    "task": "image-chat",
    "configurations": [
        {
            "gpu_model": "H100",
            "num_gpus": 1,
            "parallelization": {"tensor_parallel": 1},
            "max_num_seqs": 8,
            "energy_per_token_joules": 1.0,
            "output_throughput_tokens_per_sec": 100.0,
        }
    ],
}
RECORD = {
    "metadata": {"benchmark_phase": "profiling", "request_start_ns": 10**9, "request_end_ns": 2 * 10**9},
    "metrics": {
        "request_latency": {"value": 1000.0, "unit": "ms"},
        "time_to_first_token": {"value": 50.0, "unit": "ms"},
        "output_sequence_length": {"value": 100, "unit": "tokens"},
        "input_sequence_length": {"value": 10, "unit": "tokens"},
    },
    "error": None,
}
MOONCAKE = {"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [1, 2]}
EVENT: dict[str, Any] = {
    "choices": [{"delta": {"content": "x"}, "logprobs": {"content": [{"token": "x", "logprob": -0.1}]}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    "timings": {"prompt_n": 3, "cache_n": 0, "predicted_n": 1},
}
PAIR = b"""- {id: a, metric: tok/s, higher_is_better: true, base: 10, together: 15, source: s,
   a_alone: {name: x, value: 12}, b_alone: {name: y, value: 13}}
"""
REPORT = b"scenario: {load: {a: 1}}\nresults: {x: 1}\n"
GGUF = b"GGUF" + struct.pack("<IQQ", 3, 1, 2) + b"\0" * 64
KINDS = (
    Kind("azure.csv", csv_of("TIMESTAMP,ContextTokens,GeneratedTokens", "2023-11-16 18:17:03.9799600,4808,10"), trace),
    Kind("images.csv", csv_of("TIMESTAMP,NumImages,ContextTokens,GeneratedTokens", "2024-10-15 00:00:00,0,438,77"), trace),
    Kind("burst.csv", csv_of(",".join(readers.BURSTGPT), "5,472,18,490,Conversation log"), trace),
    Kind("mooncake.jsonl", json_of(MOONCAKE), trace),
    Kind("bailian.jsonl", json_of({"chat_id": 1, "turn": 1} | MOONCAKE), trace),
    Kind("anything.csv", st.binary(max_size=200), trace),
    Kind("workload.parquet", damaged(_workload()), trace),
    Kind("imported.parquet", damaged(_imported()), IMPORTED.read),
    *map(_empty, OTHER_TABLES),
    Kind("vllm.json", json_of(vllm(energy_j=400.0)), importers.read),
    Kind("guidellm.json", json_of(guidellm(4.0)), importers.read),
    Kind("aiperf.json", json_of(aiperf()), importers.read),
    Kind("sglang.json", json_of(SGLANG), importers.read),
    Kind("inferencex.json", json_of(INFERENCEX), importers.read),
    Kind("mlenergy.json", json_of(MLENERGY), importers.read),
    Kind("records.jsonl", json_of(RECORD), importers.read),
    Kind("llmd.yaml", st.one_of(damaged(REPORT), st.binary(max_size=80)), importers.read),
    Kind("cases.yaml", st.one_of(damaged(PAIR), st.binary(max_size=80)), case_reader.read_cases),
    Kind("runs.csv", csv_of("fp8,prefix,tpot_ms", "0,1,12.5"), factorial),
    Kind(
        "rows.csv",
        csv_of("model,concurrency,output_tokens_per_s,power_w", "Qwen/Qwen3-8B,16,900,400"),
        functools.partial(calibration.read, prompt_tokens=100, output_tokens=50.0),
    ),
    Kind("lengths.csv", csv_of("quantile,output_tokens", "0.5,474"), lambda path: lengths.parse(str(path))),
    Kind("recording.zip", bundle_file(), bundle.read),
    Kind("model.safetensors", tensor_file(), tensors_of),
    Kind("model.gguf", damaged(GGUF), smollm.read),
    Kind("events.txt", json_of(EVENT), engine_answer),
    Kind("counts.json", json_of(EVENT), engine_counts),
)
