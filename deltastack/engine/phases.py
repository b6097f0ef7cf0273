"""Where a run's amounts went: prefill, decode, start, idle gap; and exact counts of the work that was done.

Of a request that needed p seconds until its first token and d seconds from then to its last, a window's amount A is split as

    A_prefill = A sum(p) / (sum(p) + sum(d))        A_decode = A sum(d) / (sum(p) + sum(d))

An engine that reports its own prefill and decode times is taken at its word; otherwise they are the client's. The split is an
allocation by time: under concurrency requests overlap, so it tells shares of service and not of one processor.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

from deltastack.experiment.meter import Quantity
from deltastack.model import Component, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from deltastack.engine.client import Record
    from deltastack.engine.meters import Spent

Components = dict[Component, dict[Resource, float]]
_SPLIT = {Quantity.WALL_S: Resource.TIME_S, Quantity.CPU_S: Resource.CPU_S, Quantity.ENERGY_J: Resource.ENERGY_J}


class Phases(NamedTuple):
    """Seconds of service of all requests together; they overlap under concurrency."""

    prefill_s: float
    decode_s: float


def phases(records: Sequence[Record]) -> Phases | None:
    """Prefill and decode of ``records``; None where some request has neither the engine's times nor a first token."""
    found = [_phases(r) for r in records]
    known = [f for f in found if f is not None]
    if len(known) < len(found) or not known:
        return None
    both = Phases(math.fsum(f.prefill_s for f in known), math.fsum(f.decode_s for f in known))
    return both if sum(both) > 0 else None


def components(load: Spent, records: Sequence[Record]) -> Components:
    """The load's amounts by component; without phases all of it is ``other``."""
    service = phases(records)
    shares = {Component.OTHER: 1.0}
    if service is not None:
        shares = {c: s / sum(service) for c, s in zip((Component.PREFILL, Component.DECODE), service, strict=True)}
    found: Components = {c: {} for c in shares}
    for quantity, resource in _SPLIT.items():
        amount = load.value(quantity)
        if amount is not None:
            for component, share in shares.items():
                found[component][resource] = share * amount
    memory = load.value(Quantity.MEMORY_BYTE_S)
    if memory is not None:
        found.setdefault(Component.OTHER, {})[Resource.MEMORY_BYTE_S] = memory
    read = load.value(Quantity.IO_READ_BYTE)
    if read is not None:
        found.setdefault(Component.STORAGE, {})[Resource.IO_BYTE] = read
    return found


def whole(spent: Spent, component: Component) -> Components:
    """Everything of a window charged to one component: a start to storage, a gap to idle."""
    wanted = _SPLIT | {Quantity.MEMORY_BYTE_S: Resource.MEMORY_BYTE_S}
    return {component: {r: v for q, r in wanted.items() if (v := spent.value(q)) is not None}}


def of_start(start: Mapping[str, float]) -> Components:
    """A server's start charged to storage: it is where weights are read."""
    names = {"ready_s": Resource.TIME_S, "start_cpu_s": Resource.CPU_S}
    return {Component.STORAGE: {resource: start[name] for name, resource in names.items() if name in start}}


def added(parts: Sequence[Components]) -> Components:
    """Amounts of several windows together."""
    total: Components = {}
    for part in parts:
        for component, amounts in part.items():
            into = total.setdefault(component, {})
            for resource, amount in amounts.items():
                into[resource] = into.get(resource, 0.0) + amount
    return total


def counts(records: Sequence[Record]) -> dict[str, float]:
    """Exact work of the load, in tokens; a count that some answer does not give is left out."""
    read: dict[str, Callable[[Record], float | None]] = {
        "prompt_tokens": lambda r: r.prompt_tokens,
        "cached_tokens": lambda r: r.cached_tokens,
        "output_tokens": lambda r: r.output_tokens,
        "draft_tokens": lambda r: r.reported.get("timings.draft_n"),
        "accepted_tokens": lambda r: r.reported.get("timings.draft_n_accepted"),
    }
    found = {name: total for name, of in read.items() if (total := _total(records, of)) is not None}
    if {"prompt_tokens", "cached_tokens"} <= found.keys():
        found["computed_tokens"] = found["prompt_tokens"] - found["cached_tokens"]
    if found.get("draft_tokens"):
        found["acceptance"] = found.get("accepted_tokens", 0.0) / found["draft_tokens"]
    return found


def latencies(records: Sequence[Record]) -> dict[str, float]:
    """Medians over requests [s]: time to first token, per output token, whole request, the client's queue."""
    first = [r.first_s for r in records if r.first_s is not None]
    whole_s = [r.last_s for r in records if r.last_s is not None]
    per_token = [
        (r.last_s - r.first_s) / (n - 1)
        for r in records
        if r.first_s is not None and r.last_s is not None and (n := r.output_tokens or 0) > 1
    ]
    lists = {"ttft_s": first, "tpot_s": per_token, "request_s": whole_s, "queue_s": [r.queue_s for r in records]}
    return {name: statistics.median(values) for name, values in lists.items() if values}


def reported(records: Sequence[Record], key: str) -> float | None:
    """One of the answers' own numbers, summed; None where no answer has it."""
    found = [r.reported[key] for r in records if key in r.reported]
    return math.fsum(found) if found else None


def _phases(record: Record) -> Phases | None:
    told: Mapping[str, float] = record.reported
    if {"timings.prompt_ms", "timings.predicted_ms"} <= told.keys():
        return Phases(told["timings.prompt_ms"] / 1e3, told["timings.predicted_ms"] / 1e3)
    if record.first_s is None or record.last_s is None:
        return None
    return Phases(record.first_s, record.last_s - record.first_s)


def _total(records: Sequence[Record], of: Callable[[Record], float | None]) -> float | None:
    found = [of(r) for r in records]
    known = [f for f in found if f is not None]
    return math.fsum(known) if known and len(known) == len(found) else None
