"""Result files of load generators, read into runs: one run a repeat."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltastack.errors import InputError
from deltastack.importers.formats import READERS, aggregated, strategy, tool_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

QUANTITIES = (
    "time_per_output_token_s",
    "time_per_request_s",
    "energy_per_output_token_j",
    "time_to_first_token_s",
    "inter_token_latency_s",
    "request_latency_s",
)
"""Throughputs are turned into the time that a unit of work takes, so that a saving is one; latencies are means."""
_WANTED = "wanted a result of `vllm bench serve --save-result`, GuideLLM (benchmarks.json) or AIPerf (profile_export_aiperf.json)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a load generator: amounts in the units of ``QUANTITIES``, absent where it says nothing."""

    tool: str
    amounts: Mapping[str, float]
    conditions: Mapping[str, Any]
    source: str


def read(path: Path, *, point: int | None = None) -> list[Run]:
    """Every run in a file.

    Args:
        path: JSON, or several JSON values one after another.
        point: Which benchmark of a GuideLLM sweep, from 0.

    Raises:
        InputError: No such file, no JSON, no known tool, several load points and none chosen, or nothing completed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}); {_WANTED}") from error
    source = f"{path.name} (sha256 {hashlib.sha256(text.encode()).hexdigest()[:12]})"
    found = [_run(value, source, path, point) for value in _values(text, path)]
    if len({r.tool for r in found}) > 1:
        raise InputError(f"{path}: results of several tools in one file; {_WANTED}")
    return found


def _values(text: str, path: Path) -> list[dict[str, Any]]:
    """The JSON objects in ``text``, one after another."""
    decoder, at, found = json.JSONDecoder(), 0, []
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError as error:
            raise InputError(f"{path}: not JSON ({error}); {_WANTED}") from error
        if not isinstance(value, dict):
            raise InputError(f"{path}: found a JSON {type(value).__name__}; {_WANTED}")
        found.append(value)
    if not found:
        raise InputError(f"{path}: empty; {_WANTED}")
    return found


def _run(value: dict[str, Any], source: str, path: Path, point: int | None) -> Run:
    tool = tool_of(value)
    if tool is None:
        raise InputError(f"{path}: {_unknown(value)}; {_WANTED}")
    try:
        amounts, conditions = READERS[tool](_chosen(value, point) if tool == "GuideLLM" else value)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if not amounts or conditions.get("requests") == 0:
        raise InputError(f"{path}: {tool} result without one completed request, so there is nothing to compare")
    return Run(tool=tool, amounts=amounts, conditions=conditions, source=source)


def _unknown(value: dict[str, Any]) -> str:
    """What an unknown file seems to be."""
    if aggregated(value):
        return "this is AIPerf's aggregate of several runs; give the profile_export_aiperf.json of each run instead"
    shown = ", ".join(list(value)[:6]) or "nothing"
    return f"keys of no known tool ({shown})"


def _chosen(value: dict[str, Any], point: int | None) -> dict[str, Any]:
    """One benchmark of a GuideLLM report.

    Raises:
        InputError: None there, several and none chosen, or no such place.
    """
    there = value["benchmarks"]
    listed = "; ".join(f"{i}: {strategy(b)}" for i, b in enumerate(there))
    if not there:
        raise InputError("a GuideLLM report without a benchmark")
    if point is None and len(there) > 1:
        raise InputError(f"{len(there)} load points, which are no repeats; choose one with --point ({listed})")
    if point is not None and not 0 <= point < len(there):
        raise InputError(f"no load point {point}; there are {listed}")
    chosen: dict[str, Any] = there[point or 0]
    return chosen
