"""Result files of load generators and reports, read into runs: one run a repeat."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from deltastack import strict_yaml
from deltastack.contracts.files import ordinary
from deltastack.errors import InputError
from deltastack.importers import request_records
from deltastack.importers.formats import aiperf_load, strategy
from deltastack.importers.tools import READERS, aggregated, points_of, tool_of
from deltastack.strict_yaml import YamlError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

T = TypeVar("T")

QUANTITIES = (
    "time_per_output_token_s",
    "time_per_request_s",
    "energy_per_output_token_j",
    "time_to_first_token_s",
    "inter_token_latency_s",
    "request_latency_s",
)
"""Throughputs are turned into the time that a unit of work takes, so that a saving is one; latencies are means."""
_WANTED = (
    "wanted a result of `vllm bench serve --save-result`, SGLang bench_serving, GuideLLM (benchmarks.json), AIPerf "
    "(profile_export_aiperf.json, profile_export.jsonl), InferenceX, ML.ENERGY or llm-d"
)
_LOAD = ("concurrency", "request_rate")
_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a load generator: amounts in the units of ``QUANTITIES``, absent where it says nothing."""

    tool: str
    amounts: Mapping[str, float]
    conditions: Mapping[str, Any]
    source: str
    """The file's name with its hash, for a reader."""
    identity: str
    """A hash of what the tool wrote: equal for one result that was given twice."""

    @property
    def file(self) -> str:
        """The file's name alone."""
        return self.source.partition(" (")[0]


def read(path: Path, *, point: int | None = None) -> list[Run]:
    """Every run in a file.

    Args:
        path: JSON or YAML, or several JSON values one after another or in a list.
        point: Which load point of a sweep, from 0.

    Raises:
        InputError: No such file, no JSON, no known tool, several load points and none chosen, or nothing completed.
    """
    try:
        text = ordinary(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}); {_WANTED}") from error
    source = f"{path.name} (sha256 {hashlib.sha256(text.encode()).hexdigest()[:12]})"
    values = _values(text, path)
    if all(request_records.is_record(v) for v in values):
        return [_of_records(values, source, path)]
    try:
        points = [p for v in values for p in points_of(v)]
        many = any(len(points_of(v)) > 1 for v in values) and len(points) > 1
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if many:
        return [_run(_chosen(points, point, path), source, path)]
    found = [_run(p, source, path) for p in points]
    if len({r.tool for r in found}) > 1:
        raise InputError(f"{path}: results of several tools in one file; {_WANTED}")
    return _one_load(found, point, path)


def _values(text: str, path: Path) -> list[dict[str, Any]]:
    """The objects in ``text``: YAML, JSON values one after another, or a list of them."""
    found = _yaml(text, path) if path.suffix in {".yaml", ".yml"} else _json(text, path)
    flat = [
        (v, "list of ") if isinstance(value, list) else (value, "")
        for value in found
        for v in (value if isinstance(value, list) else [value])
    ]
    for value, holder in flat:
        if not isinstance(value, dict):
            raise InputError(f"{path}: found a JSON {holder}{type(value).__name__}; {_WANTED}")
    if not flat:
        raise InputError(f"{path}: empty; {_WANTED}")
    return [value for value, _ in flat]


def _yaml(text: str, path: Path) -> list[Any]:
    try:
        return [value for value in strict_yaml.documents(text.encode()) if value is not None]
    except YamlError as error:
        raise InputError(f"{path}: not YAML ({error}); {_WANTED}") from error


def _json(text: str, path: Path) -> list[Any]:
    decoder, at, found = json.JSONDecoder(object_pairs_hook=strict_yaml.once), 0, []
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: not JSON ({' '.join(str(error).split())[:120]}); {_WANTED}") from error
        found.append(value)
    return found


def _run(value: dict[str, Any], source: str, path: Path) -> Run:
    tool = tool_of(value)
    if tool is None:
        raise InputError(f"{path}: {_unknown(value)}; {_WANTED}")
    try:
        amounts, conditions = READERS[tool](value)
    except InputError as error:
        raise InputError(f"{path}: {tool} result: {error}") from error
    if not amounts or conditions.get("requests") == 0:
        raise InputError(f"{path}: {tool} result without one completed request, so there is nothing to compare")
    return Run(tool=tool, amounts=amounts, conditions=conditions, source=source, identity=_hash(value))


def _of_records(values: list[dict[str, Any]], source: str, path: Path) -> Run:
    """One run of all requests; the summary beside them, where there is one, names model and load."""
    try:
        amounts, conditions = request_records.records(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    beside = path.with_name("profile_export_aiperf.json")
    if beside.is_file():
        conditions |= aiperf_load(_values(beside.read_text(encoding="utf-8-sig"), beside)[0])
    return Run(tool="AIPerf", amounts=amounts, conditions=conditions, source=source, identity=_hash(values))


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _unknown(value: dict[str, Any]) -> str:
    """What an unknown file seems to be."""
    if aggregated(value):
        return "this is AIPerf's aggregate of several runs; give the profile_export_aiperf.json of each run instead"
    shown = ", ".join(str(k)[: _SHOWN * 5] for k in list(value)[:6]) or "nothing"
    return f"keys of no known tool ({shown})"


def _one_load(found: list[Run], point: int | None, path: Path) -> list[Run]:
    """The runs of one load: runs of an appended file that differ in load are load points."""
    loads = [tuple(str(r.conditions.get(k)) for k in _LOAD) for r in found]
    if len(set(loads)) == 1 and (point is None or len(found) == 1):
        _point_there(point, found, path)
        return found
    words = [f"concurrency {c}" if r in {"None", "inf"} else f"concurrency {c}, rate {r}" for c, r in loads]
    return [_at(found, words, point, path)]


def _point_there(point: int | None, found: list[Run], path: Path) -> None:
    if point not in {None, 0}:
        raise InputError(f"{path}: no load point {point}; there is {len(found)}, number 0")


def _chosen(points: list[dict[str, Any]], point: int | None, path: Path) -> dict[str, Any]:
    words = [strategy(p) if "metrics" in p else ", ".join(f"{k} {p[k]}" for k in _NAMED if k in p) for p in points]
    return _at(points, words, point, path)


_NAMED = ("hw", "gpu_model", "num_gpus", "tp", "precision", "conc", "max_num_seqs")


def _at(points: list[T], words: list[str], point: int | None, path: Path) -> T:
    """One load point.

    Raises:
        InputError: None chosen, or no such place.
    """
    more = f"; and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    listed = "; ".join(f"{i}: {w}" for i, w in enumerate(words[:_SHOWN])) + more
    if point is None:
        raise InputError(f"{path}: {len(points)} load points, which are no repeats; choose one with --point ({listed})")
    if not 0 <= point < len(points):
        raise InputError(f"{path}: no load point {point}; there are {listed}")
    return points[point]
