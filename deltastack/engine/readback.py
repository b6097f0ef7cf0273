"""What a server resolved, as names and values, and whether it is what the cell asked for.

Engines switch things off in silence. So every start is read back: JSON answers, Prometheus counters, the log; a value that is
not what the cell's techniques, on or off, must show makes the cell void by name.
"""

from __future__ import annotations

import json
import math
import re
import time
from typing import TYPE_CHECKING, Any

import httpx

from deltastack.engine import calls
from deltastack.engine.declaration import Counter, Style
from deltastack.engine.faults import FaultKind
from deltastack.errors import CellError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deltastack.engine.cells import Cell
    from deltastack.engine.declaration import Engine, Source
    from deltastack.engine.process import Running
    from deltastack.engine.techniques import Call, Evidence, Expectation

Resolved = dict[str, dict[str, str]]
"""Source to name to value, all as text."""
TEXT = "text"
_TIMEOUT_S = 10.0
_SETTLE_S, _LOOK_AGAIN_S = 2.0, 0.05
_SHOWN = 120
_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\d+)?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def resolved(server: Running, sources: Mapping[str, Source], headers: Mapping[str, str]) -> Resolved:
    """Every source of a running server.

    Raises:
        CellError: A source that does not answer.
    """
    return {name: _read(server, name, source, headers) for name, source in sources.items()}


def settled(server: Running, cell: Cell, sources: Mapping[str, Source], headers: Mapping[str, str]) -> Resolved:
    """Every source once it shows what ``cell`` asked for, or after a while: a log may be written later than health is told.

    Raises:
        CellError: As ``resolved``.
    """
    last_s = time.monotonic() + _SETTLE_S
    while mismatches(cell, found := resolved(server, sources, headers)) and time.monotonic() < last_s:
        time.sleep(_LOOK_AGAIN_S)
    return found


def mismatches(cell: Cell, found: Resolved) -> list[str]:
    """Where a server did not resolve what ``cell`` asked for, each with its technique."""
    return [f"{t}: {words}" for t, e in cell.expect if (words := _mismatch(e, found.get(e.source, {}))) is not None]


def require(cell: Cell, found: Resolved) -> None:
    """Refuse a server in which a switch did not take.

    Raises:
        CellError: Some value is not what the cell asked for; all are named.
    """
    if wrong := mismatches(cell, found):
        raise CellError(FaultKind.DEAD_SWITCH, "; ".join(wrong))


def call(server: Running, one: Call, headers: Mapping[str, str]) -> None:
    """Make one control call, such as emptying a cache.

    Raises:
        CellError: It does not answer 2xx, and may not fail.
    """
    try:
        answer = calls.call(one.method, server.address + one.path, headers, _TIMEOUT_S)
        words = None if answer.is_success else f"answered {answer.status_code}"
    except httpx.HTTPError as error:
        words = f"{type(error).__name__}"
    if words and not one.may_fail:
        raise CellError(FaultKind.FAILED_REQUESTS, f"{one.method} {one.path} {words}")


def amount(found: Resolved, counter: Counter) -> float | None:
    """A counter's amount in the quantity's unit, or None where the server does not have it."""
    text = found.get(counter.source, {}).get(counter.key)
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value * counter.scale if math.isfinite(value) else None


def grown(before: Resolved, after: Resolved, evidence: Evidence) -> float | None:
    """By how much a figure of the server rose over the load; None where it is no number, or not there.

    With ``matches`` it is how many more places of the source's text match, such as lines of a log.
    """
    if evidence.matches is not None:
        first, last = (
            len(re.findall(evidence.matches, r.get(evidence.source, {}).get(evidence.key, ""))) for r in (before, after)
        )
        return float(last - first)
    counter = Counter(source=evidence.source, key=evidence.key)
    was, now = amount(before, counter), amount(after, counter)
    return None if now is None else now - (was or 0.0)


def needed(engine: Engine) -> dict[str, Source]:
    """The sources that counters and evidence read before and after the load; the log where evidence counts its lines."""
    shown = [e for t in engine.techniques.values() for e in t.evidence]
    names = {c.source for c in engine.counters.values()} | {e.source for e in shown}
    counted = {e.source for e in shown if e.matches is not None}
    return {n: s for n, s in engine.sources.items() if n in names and (s.style is not Style.LOG or n in counted)}


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of nested JSON.

    >>> dict(flat({"a": {"b": True, "c": [1, "x"]}}))
    {'a.b': 'true', 'a.c.0': '1', 'a.c.1': 'x'}
    """
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name or TEXT, value if isinstance(value, str) else json.dumps(value)


def prometheus(text: str) -> dict[str, str]:
    r"""Samples summed over their labels, also by each label's value, and each label's text as ``metric.label``.

    >>> prometheus('hits_total{from="a"} 2\nhits_total{from="b"} 3.5\n# HELP x y')["hits_total"]
    '5.5'
    >>> prometheus('hits_total{from="a",n="0"} 2\nhits_total{from="a",n="1"} 1')['hits_total{from="a"}']
    '3.0'
    >>> prometheus('cache_info{on="True"} 1')["cache_info.on"]
    'True'
    """
    sums: dict[str, float] = {}
    labels: dict[str, str] = {}
    for line in text.splitlines():
        sample = _SAMPLE.match(line.strip())
        if line.startswith("#") or sample is None:
            continue
        name, marked, number = sample.groups()
        pairs = _LABEL.findall(marked or "")
        for key in (name, *(f'{name}{{{label}="{value}"}}' for label, value in pairs)):
            sums[key] = sums.get(key, 0.0) + _float(number)
        labels |= {f"{name}.{label}": value for label, value in pairs}
    return {name: repr(total) for name, total in sums.items()} | labels


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _read(server: Running, name: str, source: Source, headers: Mapping[str, str]) -> dict[str, str]:
    if source.style is Style.LOG:
        return {TEXT: server.log_text()}
    try:
        answer = calls.call("GET", server.address + source.path, dict(headers) | source.header, _TIMEOUT_S)
        answer.raise_for_status()
        return prometheus(answer.text) if source.style is Style.PROMETHEUS else dict(flat(answer.json()))
    except (httpx.HTTPError, ValueError) as error:
        reason = f"{answer.status_code}" if isinstance(error, httpx.HTTPStatusError) else type(error).__name__
        raise CellError(FaultKind.UNHEALTHY, f"source '{name}' ({source.path}) cannot be read: {reason}") from error


def _mismatch(expected: Expectation, values: Mapping[str, str]) -> str | None:
    value = values.get(expected.key)
    where = f"{expected.source} {expected.key}"
    if value is None:
        return f"{where} is not there"
    shown = "the log" if expected.key == TEXT else f"{where} is {value[:_SHOWN]!r}"
    if expected.equals is not None:
        return None if value == expected.equals else f"{shown}, wanted {expected.equals!r}"
    if expected.matches is not None:
        return None if re.search(expected.matches, value) else f"{shown} has no {expected.matches!r}"
    said = re.search(expected.absent or "", value)
    return f"{shown} says {said[0][:_SHOWN]!r}" if said else None
