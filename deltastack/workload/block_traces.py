"""Traces of JSON lines that tell the hashes of their prompts' blocks: Mooncake and Bailian.

* ``mooncake``  timestamp [ms], input_length, output_length, hash_ids of 512 tokens  (Qin et al., FAST 2025; hash_ids optional)
* ``bailian``   chat_id, parent_chat_id, turn, timestamp [s], hash_ids of 16 tokens  (Wang et al., ATC 2025)

Both have the same names of lengths, so unit and block are told by ``chat_id``, and held against the length of the prompt.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deltastack import strict_yaml
from deltastack.errors import WorkloadError
from deltastack.workload.prefixes import BLOCK_TOKENS, Blocks, Recency
from deltastack.workload.raw import Raw

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Kind(NamedTuple):
    """How one of the formats counts."""

    name: str
    seconds: float
    """In one unit of its timestamps."""
    block_tokens: int


KINDS = {"mooncake": _Kind("Mooncake", 1e-3, BLOCK_TOKENS), "bailian": _Kind("Bailian", 1.0, 16)}
BAILIAN_MARK = "chat_id"


class _Row(NamedTuple):
    time_s: float
    prompt: float
    output: float
    hashes: tuple[int, ...] | None


def blocks(lines: Iterable[str], kind: str = "mooncake") -> list[Blocks]:
    """The requests of a trace with the hashes of their blocks.

    Raises:
        WorkloadError: A line that is no row; its number is named.
    """
    found = []
    for number, line in enumerate(lines, start=1):
        row = _row(line, KINDS[kind])
        if isinstance(row, str) or row.hashes is None:
            words = row if isinstance(row, str) else "field 'hash_ids' is missing, so nothing can be observed"
            raise WorkloadError(f"line {number}: no {KINDS[kind].name} row ({words})")
        found.append(Blocks(row.time_s, int(row.prompt), int(row.output), row.hashes))
    return found


def read(lines: Iterable[str], kind: str = "mooncake") -> Raw:
    """The rows, each with the tokens of its leading blocks that an earlier row brought, and how long ago that was.

    Where the first row tells no hashes, none does, and prefixes are not known.
    """
    how = KINDS[kind]
    rows: list[tuple[float, ...]] = []
    torn: dict[int, str] = {}
    known, recency = True, Recency(how.block_tokens)
    for number, line in enumerate(lines, start=1):
        row = _row(line, how)
        known = known and (isinstance(row, str) or bool(rows) or row.hashes is not None)
        if not isinstance(row, str) and known and row.hashes is None:
            row = "field 'hash_ids' is missing here and stands in rows before"
        if isinstance(row, str):
            torn[number] = f"no {how.name} row ({row})"
            continue
        seen = recency.take(row.hashes or (), row.prompt)
        rows.append((number, row.time_s, row.prompt, row.output, *seen))
    columns = np.array(rows, dtype=np.float64).reshape(-1, 7).T
    return Raw(
        line=columns[0].astype(np.int64),
        time_s=columns[1],
        images=np.zeros(columns.shape[1]),
        prompt_tokens=columns[2],
        output_tokens=columns[3],
        prefix_tokens=columns[4] if known else None,
        reuse_tokens=columns[5] if known else None,
        reuse_requests=columns[6] if known else None,
        torn=torn,
    )


def _row(line: str, kind: _Kind) -> _Row | str:
    """One request, or what is wrong with its line."""
    try:
        row = json.loads(line, object_pairs_hook=strict_yaml.once)
        if not isinstance(row, dict):
            return f"a JSON {type(row).__name__}, wanted an object"
        if kind is KINDS["mooncake"] and BAILIAN_MARK in row:
            return "it has a chat_id, as Bailian has, in seconds and blocks of 16 tokens: --format bailian"
        found = _Row(
            _number(row, "timestamp") * kind.seconds, _number(row, "input_length"), _number(row, "output_length"), _hashes(row)
        )
    except (ValueError, RecursionError) as error:
        return " ".join(str(error).split())[:120]
    if found.hashes and (len(found.hashes) - 1) * kind.block_tokens >= found.prompt:
        return (
            f"{len(found.hashes)} blocks of {kind.block_tokens} tokens in a prompt of {found.prompt:.0f}: blocks of another size"
        )
    return found


def _number(row: dict[str, Any], name: str) -> float:
    """A number as JSON has it.

    Raises:
        ValueError: None, another type, or more digits than a double holds.
    """
    if name not in row:
        message = f"field '{name}' is missing"
        raise ValueError(message)
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"field '{name}' is {str(value)[:40]!r}, wanted a number"
        raise ValueError(message)  # noqa: TRY004 - a wrong value of a file, not of a caller
    try:
        return float(value)
    except OverflowError:
        message = f"field '{name}' is too large"
        raise ValueError(message) from None


def _hashes(row: dict[str, Any]) -> tuple[int, ...] | None:
    value = row.get("hash_ids")
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(h, int) and not isinstance(h, bool) for h in value):
        message = "field 'hash_ids' is no list of whole numbers"
        raise ValueError(message)
    return tuple(value)
