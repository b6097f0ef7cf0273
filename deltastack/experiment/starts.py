"""What a start costs and saves, apart from serving: loading and packing, amortized over the requests that one start serves.

With S the processor time of a start, r that of a request, and N the requests that one start serves, a request of a cell costs
r + S / N. A cell whose start costs more than the base's earns it back after

    n = (S_cell - S_base) / (r_base - r_cell)      at once where S_cell <= S_base, never where r_cell >= r_base

By hand: a start of 0.2 s becomes 0.3 s, a request of 10 ms becomes 8 ms: earned back after 0.1 / 0.002 = 50 requests.

Source: this project.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from deltastack.experiment.meter import Quantity
from deltastack.experiment.plan import Kind, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from deltastack.experiment.ledger import Entry

BASE = "base"
LOADED, STARTED = "load_cpu_s", "start_cpu_s"
"""Figures of a run: processor seconds of loading inside the session, of a server's start before it."""


class Start(NamedTuple):
    """Processor seconds of one cell: a start, and a request without it."""

    start_s: float
    request_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """Starts of every cell that was read."""

    serves: int
    """Requests that one start serves."""
    cells: Mapping[str, Start]

    def share(self, cell: str) -> float:
        """The start's share of what a request costs.

        >>> round(Starts(serves=100, cells={"base": Start(0.2, 0.01)}).share("base"), 4)
        0.1667
        """
        start_s, request_s = self.cells[cell]
        return start_s / (start_s + self.serves * request_s)

    def break_even(self, cell: str) -> float:
        """Requests after which the start of ``cell`` is earned back; 0: at once, infinite: never.

        >>> found = Starts(serves=100, cells={"base": Start(0.2, 0.01), "idle": Start(0.3, 0.008)})
        >>> round(found.break_even("idle"), 9), found.break_even("base")
        (50.0, 0.0)
        """
        base, mine = self.cells[BASE], self.cells[cell]
        extra_s, saved_s = mine.start_s - base.start_s, base.request_s - mine.request_s
        if extra_s <= 0:
            return 0.0
        return extra_s / saved_s if saved_s > 0 else math.inf

    def plain(self) -> dict[str, Any]:
        """For the JSON beside a measured table; a start that is never earned back has null."""
        ends = {c: self.break_even(c) for c in self.cells}
        return {
            "serves": self.serves,
            "cells": {
                c: {**s._asdict(), "share": self.share(c), "break_even_requests": ends[c] if math.isfinite(ends[c]) else None}
                for c, s in self.cells.items()
            },
        }


def of_entries(entries: Iterable[Entry], serves: int | None) -> Starts | None:
    """Medians over the runs of each cell; None where nothing is charged, or no run of the base says what a start took.

    A figure ``LOADED`` is of loading inside the session, of which the share that is charged is in the reading; ``STARTED`` is
    of a server's start, which is not.
    """
    every: dict[str, list[Start]] = {}
    for e in (e for e in entries if e.slot.kind is Kind.RUN):
        used, requests = e.readings[Quantity.CPU_S].value, e.quality.get("requests")
        start_s = e.quality.get(LOADED, e.quality.get(STARTED))
        if serves is None or used is None or not requests or start_s is None:
            continue
        within = start_s * charged(requests, serves) if LOADED in e.quality else 0.0
        every.setdefault(plain(e.slot.cell), []).append(Start(start_s, (used - within) / requests))
    found = {c: Start(*(statistics.median(x) for x in zip(*some, strict=True))) for c, some in every.items()}
    return Starts(serves=serves, cells=found) if serves is not None and BASE in found else None


def charged(requests: float, serves: int | None) -> float:
    """The share of a start that a session of so many requests is charged; all of it where nothing is stated.

    >>> charged(8, 1000), charged(8, None), charged(8, 4)
    (0.008, 1.0, 1.0)
    """
    return 1.0 if serves is None else min(requests / serves, 1.0)
