"""Readers of the trace formats, one function each, and the table that finds the right one.

* ``azure_llm_2023``  TIMESTAMP,ContextTokens,GeneratedTokens            (Patel et al., ISCA 2024; no images)
* ``azure_lmm_2024``  TIMESTAMP,NumImages,ContextTokens,GeneratedTokens  (Qiu et al., SoCC 2025)
* ``burstgpt``        Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type, in seconds (Wang et al., KDD 2025)
* ``mooncake``, ``bailian``  JSON lines with the hashes of blocks (``block_traces``)
* ``deltastack``      our own Parquet (contract ``workload``)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from deltastack.contracts import WORKLOAD
from deltastack.errors import ContractError, WorkloadError
from deltastack.workload import block_traces
from deltastack.workload.block_traces import BAILIAN_MARK
from deltastack.workload.raw import Raw, Read, to_workload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from deltastack.workload.images import ImageRule

HEADERS = {
    "azure_llm_2023": ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    "azure_lmm_2024": ("TIMESTAMP", "NumImages", "ContextTokens", "GeneratedTokens"),
}
BURSTGPT = ("Timestamp", "Request tokens", "Response tokens", "Total tokens", "Log Type")
KNOWN = " | ".join(
    (
        *(",".join(h) for h in HEADERS.values()),
        "Mooncake JSON lines",
        "Bailian JSON lines",
        "BurstGPT CSV",
        "deltastack Parquet",
    )
)
"""What a trace may be, in words."""
FORMATS = (*HEADERS, "mooncake", "bailian", "burstgpt", "deltastack")
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}
"""How packed files begin; none is unpacked here, so that none can grow beyond the memory."""


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
    try:
        if found == "deltastack":
            return Read(frame=WORKLOAD.read(path), format=found, dropped=0)
        raw = _READERS[found](path, found)
    except ContractError as error:
        words = "; ".join(line.strip(" -") for line in str(error).splitlines()[1:-1])
        raise WorkloadError(f"{path.name}: no table of `deltastack workload generate` ({words}); generate it again") from error
    except UnicodeDecodeError as error:
        raise WorkloadError(f"{path.name}: byte {error.object[error.start]:#x} is not UTF-8; save the file as UTF-8") from error
    except pa.ArrowException as error:
        raise WorkloadError(f"{path.name}: no CSV that can be read ({' '.join(str(error).split())[:160]}); mend it") from error
    except OSError as error:
        raise WorkloadError(f"{path.name}: cannot be read ({error.strerror}); wanted {KNOWN}") from error
    return to_workload(raw, name=path.name, kind=found, rule=rule, drop_bad=drop_bad)


def sniff(path: Path) -> str:
    """The format of the file at ``path``.

    Raises:
        WorkloadError: It is empty, or its first line is of no known format.
    """
    try:
        with path.open("rb") as f:
            first = f.readline(4096)
    except OSError as error:
        raise WorkloadError(f"{path}: cannot be read ({error.strerror}); wanted {KNOWN}") from error
    if not first.strip():
        raise WorkloadError(f"{path.name}: the file is empty; wanted {KNOWN}")
    if first.startswith(b"PAR1"):
        return "deltastack"
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise WorkloadError(f"{path.name}: UTF-16; save the file as UTF-8")
    packed = next((name for start, name in PACKED.items() if first.startswith(start)), None)
    if packed:
        raise WorkloadError(f"{path.name}: packed with {packed}; unpack it first, and give the file that comes out")
    return _of_text(path.name, first.decode("utf-8-sig", errors="replace").strip())


def _of_text(name: str, text: str) -> str:
    if "\r" in text:
        raise WorkloadError(f"{name}: line ends are CR only; save it with LF line ends")
    columns = tuple(c.strip() for c in text.split(","))
    for kind, header in HEADERS.items():
        if columns == header:
            return kind
    if set(BURSTGPT) <= set(columns):
        return "burstgpt"
    if text.startswith("{") and "input_length" in text:
        return "bailian" if f'"{BAILIAN_MARK}"' in text else "mooncake"
    hint = "; ServeGen's requests are to be written as Mooncake JSON lines first" if '"input_tokens"' in text else ""
    raise WorkloadError(f"{name}: wrong header {text[:80]!r}; known are: {KNOWN}{hint}")


def _lines(path: Path, kind: str) -> Raw:
    with path.open(encoding="utf-8-sig") as lines:
        return block_traces.read(lines, kind)


def _burstgpt(path: Path, kind: str) -> Raw:
    """Requests that failed have no response and are bad rows, as their authors say."""
    if sniff(path) != kind:
        raise WorkloadError(f"{path.name}: its header is not that of {kind}: {','.join(BURSTGPT)}")
    torn: dict[int, str] = {}
    table = _columns(path, dict.fromkeys(BURSTGPT, pa.string()), torn)
    return Raw(
        line=np.setdiff1d(np.arange(2, table.num_rows + len(torn) + 2), list(torn)),
        time_s=_numbers(table["Timestamp"]),
        images=np.zeros(table.num_rows),
        prompt_tokens=_numbers(table["Request tokens"]),
        output_tokens=_numbers(table["Response tokens"]),
        torn=torn,
    )


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

    with path.open("rb") as file:  # by its name alone pyarrow would unpack what is not packed
        return _table(file, types, note)


def _table(file: BinaryIO, types: dict[str, pa.DataType], note: Callable[[Any], str]) -> pa.Table:
    return csv.read_csv(
        file,
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


_READERS: dict[str, Callable[[Path, str], Raw]] = {
    **dict.fromkeys(HEADERS, _azure),
    **dict.fromkeys(block_traces.KINDS, _lines),
    "burstgpt": _burstgpt,
}
