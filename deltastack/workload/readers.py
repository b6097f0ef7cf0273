"""Readers of the trace formats, one function each, and the table that finds the right one.

* ``azure_llm_2023``  TIMESTAMP,ContextTokens,GeneratedTokens            (Patel et al., ISCA 2024; no images)
* ``azure_lmm_2024``  TIMESTAMP,NumImages,ContextTokens,GeneratedTokens  (Qiu et al., SoCC 2025)
* ``mooncake``        JSON lines: timestamp [ms], input_length, output_length, hash_ids (Qin et al., FAST 2025)
* ``deltastack``      our own Parquet (contract ``workload``)
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from deltastack.contracts import WORKLOAD
from deltastack.errors import WorkloadError
from deltastack.workload.prefixes import BLOCK_TOKENS, Blocks
from deltastack.workload.raw import Raw, Read, to_workload

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from deltastack.workload.images import ImageRule

HEADERS = {
    "azure_llm_2023": ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    "azure_lmm_2024": ("TIMESTAMP", "NumImages", "ContextTokens", "GeneratedTokens"),
}
KNOWN = " | ".join((*(",".join(h) for h in HEADERS.values()), "Mooncake JSON lines", "deltastack Parquet"))
"""What a trace may be, in words."""
FORMATS = (*HEADERS, "mooncake", "deltastack")
MOONCAKE_BLOCK_TOKENS = BLOCK_TOKENS


def read(path: Path, rule: ImageRule, *, kind: str | None = None, drop_bad: bool = False) -> Read:
    """The workload in ``path``; its format is found from its first line unless ``kind`` names it.

    Raises:
        WorkloadError: No such file, no known format, bad rows, or no request.
    """
    if not path.is_file():
        found = f"{path} is a directory" if path.is_dir() else f"no such trace: {path}"
        raise WorkloadError(f"{found}; wanted a file: {KNOWN}")
    found = kind or sniff(path)
    if found not in FORMATS:
        raise WorkloadError(f"no trace format '{found}'; there are: {', '.join(FORMATS)}")
    if found == "deltastack":
        return Read(frame=WORKLOAD.read(path), format=found, dropped=0)
    raw = _mooncake(path) if found == "mooncake" else _azure(path, found)
    return to_workload(raw, name=path.name, kind=found, rule=rule, drop_bad=drop_bad)


def sniff(path: Path) -> str:
    """The format of the file at ``path``.

    Raises:
        WorkloadError: It is empty, or its first line is of no known format.
    """
    with path.open("rb") as f:
        first = f.readline(4096)
    if not first.strip():
        raise WorkloadError(f"{path.name}: the file is empty; wanted {KNOWN}")
    if first.startswith(b"PAR1"):
        return "deltastack"
    text = first.decode("utf-8-sig", errors="replace").strip()
    columns = tuple(c.strip() for c in text.split(","))
    for name, header in HEADERS.items():
        if columns == header:
            return name
    if text.startswith("{") and "input_length" in text:
        return "mooncake"
    raise WorkloadError(f"{path.name}: wrong header {text[:80]!r}; known are: {KNOWN}")


def _azure(path: Path, kind: str) -> Raw:
    header = HEADERS[kind]
    if sniff(path) != kind:
        raise WorkloadError(f"{path.name}: its header is not that of {kind}: {','.join(header)}")
    torn: dict[int, str] = {}
    stamp = pa.timestamp("ns", tz="UTC") if kind == "azure_lmm_2024" else pa.timestamp("ns")
    try:
        table = _columns(path, {c: stamp if c == "TIMESTAMP" else pa.float64() for c in header}, torn)
    except pa.ArrowInvalid:  # some field is no number or no time: read text, so that every such field can be named
        torn.clear()
        table = _columns(path, dict.fromkeys(header, pa.string()), torn)
    lines = np.setdiff1d(np.arange(2, table.num_rows + len(torn) + 2), list(torn))
    absent = np.zeros(table.num_rows)
    return Raw(
        line=lines,
        time_s=_seconds(table["TIMESTAMP"]),
        images=_numbers(table["NumImages"]) if "NumImages" in header else absent,
        prompt_tokens=_numbers(table["ContextTokens"]),
        output_tokens=_numbers(table["GeneratedTokens"]),
        torn=torn,
    )


def _columns(path: Path, types: dict[str, pa.DataType], torn: dict[int, str]) -> pa.Table:
    """The file as typed columns; lines of another width go to ``torn``.

    Raises:
        pa.ArrowInvalid: A field that its type cannot hold.
    """

    def note(row: Any) -> str:
        torn[row.number] = f"{row.actual_columns} columns, wanted {row.expected_columns}"
        return "skip"

    return csv.read_csv(
        path,
        read_options=csv.ReadOptions(use_threads=False, encoding="utf8"),
        parse_options=csv.ParseOptions(invalid_row_handler=note, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=True),
    )


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _seconds(column: pa.ChunkedArray) -> NDArray[np.float64]:
    text = pa.types.is_string(column.type)
    instants = pd.to_datetime(column.to_pandas(), format="ISO8601", errors="coerce", utc=True) if text else column.to_pandas()
    first = instants.min()
    seconds: NDArray[np.float64] = (instants - first).dt.total_seconds().to_numpy(dtype=np.float64)
    return seconds


def mooncake_blocks(lines: Iterable[str]) -> list[Blocks]:
    """The requests of a Mooncake trace with the hashes of their blocks.

    Raises:
        WorkloadError: A line that is no row; its number is named.
    """
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            hashes = tuple(int(h) for h in row["hash_ids"])
            found.append(Blocks(float(row["timestamp"]) / 1e3, int(row["input_length"]), int(row["output_length"]), hashes))
        except (ValueError, KeyError, TypeError) as error:
            raise WorkloadError(f"line {number}: no Mooncake row ({type(error).__name__}: {error})") from error
    return found


def _mooncake(path: Path) -> Raw:
    with path.open(encoding="utf-8") as lines:
        return mooncake(lines)


def mooncake(lines: Iterable[str]) -> Raw:
    """The rows of a Mooncake trace, each with the tokens of its leading blocks that an earlier row brought."""
    rows: list[tuple[int, float, float, float, float]] = []
    torn: dict[int, str] = {}
    seen: set[int] = set()
    for number, line in enumerate(lines, start=1):
        try:
            rows.append((number, *_mooncake_row(line, seen)))
        except (ValueError, KeyError, TypeError) as error:
            torn[number] = f"no Mooncake row ({type(error).__name__}: {error})"
    columns = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    return Raw(
        line=columns[0].astype(np.int64),
        time_s=columns[1],
        images=np.zeros(columns.shape[1]),
        prompt_tokens=columns[2],
        output_tokens=columns[3],
        prefix_tokens=columns[4],
        torn=torn,
    )


def _mooncake_row(line: str, seen: set[int]) -> tuple[float, float, float, float]:
    row = json.loads(line)
    prompt, hashes = float(row["input_length"]), [int(h) for h in row["hash_ids"]]
    known = 0
    while known < len(hashes) and hashes[known] in seen:
        known += 1
    seen.update(hashes)
    prefix = min(known * MOONCAKE_BLOCK_TOKENS, max(prompt - 1, 0))
    return float(row["timestamp"]) / 1e3, prompt, float(row["output_length"]), prefix
