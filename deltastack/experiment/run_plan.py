"""Run a plan: a fresh process a start, every run written down before the next, stopped early when that is honest.

The process of a start is spawned, not forked, so that nothing of the parent (threads, caches, a loaded model) leaks
into it. It ends by itself if its parent is gone. Running again with the same ledger continues where it was cut.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from deltastack.errors import EvidenceError, StageError
from deltastack.experiment.ledger import Entry, Ledger
from deltastack.experiment.meter import Quantity
from deltastack.experiment.plan import Kind, Plan, Slot
from deltastack.statistics.nested_interval import Nested, interval

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path


class CellRunner(Protocol):
    """Runs one slot and reports what it spent; raises if the run failed, and then nothing is written."""

    def __call__(self, slot: Slot) -> Entry:
        """Run the slot."""
        ...


class Stopped(StrEnum):
    """Why the experiment ended."""

    COMPLETE = "every planned run is done"
    PRECISE = "every interval is narrow enough"
    BUDGET = "the time budget is spent"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """Stop early when all cells' intervals of ``quantity`` against the first cell are narrow, or time is up."""

    half_width: float
    budget_s: float
    quantity: Quantity = Quantity.CPU_S
    minimum_pairs: int = 4
    firm: bool = False
    """Stop inside a block too. The first start still runs the head of one block, unless ``limit_s`` ends it."""
    limit_s: float | None = None
    """From the beginning of ``execute``: a start that still runs then is ended. None: nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A plan with where its runs are written, who runs them, and when to stop.

    ``key`` is a hash of plan, parameters, code and host; ``factory`` is picklable and opened once in each process start.
    """

    plan: Plan
    ledger_path: Path
    key: str
    factory: Callable[[int], AbstractContextManager[CellRunner]]
    stop: StopRule

    def ledger(self) -> Ledger:
        """The ledger as it is on disk now."""
        return Ledger(self.ledger_path, self.key)

    @property
    def pace_path(self) -> Path:
        """Where a start writes how long it took until the head of its first block was done [s]."""
        return self.ledger_path.with_suffix(".pace")

    def needed_s(self) -> float:
        """Seconds until a start has run the head of one block, as the first one took; 0 where none did, or nothing is firm."""
        return float(self.pace_path.read_text()) if self.stop.firm and self.pace_path.is_file() else 0.0

    def missing(self, start: int) -> list[Slot]:
        """The runs of a start that the ledger does not hold."""
        ledger = self.ledger()
        return [s for s in self.plan.start_slots(start) if s.kind is not Kind.WARM_UP and not ledger.has(s)]


def execute(experiment: Experiment, say: Callable[[str], None]) -> Stopped:
    """Run what the ledger does not hold yet, and tell progress through ``say``, one line a start.

    However small the budget is, one pair of blocks is run: a measurement without any run says nothing.

    Raises:
        StageError: A process start ended with an error; what it wrote before stays.
    """
    plan, stop = experiment.plan, experiment.stop
    began_s = time.perf_counter()
    for start in range(plan.starts):
        if _precise(experiment.ledger().entries(), plan, stop):
            return Stopped.PRECISE
        left_s = stop.budget_s - (time.perf_counter() - began_s)
        share_s = left_s / (plan.starts - start)
        if not experiment.missing(start):
            continue
        if (share_s <= 0 or left_s < experiment.needed_s()) and experiment.ledger().entries():
            return Stopped.BUDGET
        say(f"start {start + 1} of {plan.starts}: {len(plan.cells)} cells, {len(plan.block)} runs a block, {share_s:.0f} s")
        limit_s = None if stop.limit_s is None else stop.limit_s - (time.perf_counter() - began_s)
        if not _run_start(experiment, start, max(share_s, experiment.needed_s()), limit_s):
            return Stopped.BUDGET
    if _precise(experiment.ledger().entries(), plan, stop):
        return Stopped.PRECISE
    return Stopped.BUDGET if any(experiment.missing(s) for s in range(plan.starts)) else Stopped.COMPLETE


def pair_log_ratios(entries: tuple[Entry, ...], cell: str, base: str, quantity: Quantity) -> list[list[float]]:
    """ln(cell / base) of each block pair, grouped by start; a pair with a missing run or reading is left out.

    Repeats in a block and both halves of a pair are averaged in log, which cancels a drift that is linear in time.
    """
    read: dict[tuple[int, int, str], list[float]] = {}
    for e in entries:
        value = e.readings[quantity].value
        if e.slot.kind is Kind.RUN:
            logs = read.setdefault((e.slot.start, e.slot.block, e.slot.cell), [])
            logs.append(math.log(value) if value is not None and value > 0 else math.nan)
    means = {key: math.fsum(logs) / len(logs) for key, logs in read.items()}
    amounts = {key: mean for key, mean in means.items() if not math.isnan(mean)}
    starts = sorted({s for s, _, _ in amounts})
    grouped = [_pairs_of_start(amounts, s, cell, base) for s in starts]
    return [g for g in grouped if g]


def compare(entries: tuple[Entry, ...], cell: str, base: str, quantity: Quantity, *, confidence: float = 0.95) -> Nested:
    """Δ of ``cell`` against ``base`` with its interval.

    Raises:
        EvidenceError: Not two complete pairs, or no such reading.
    """
    return interval(pair_log_ratios(entries, cell, base, quantity), confidence=confidence)


def _pairs_of_start(amounts: dict[tuple[int, int, str], float], start: int, cell: str, base: str) -> list[float]:
    blocks = sorted({b for s, b, _ in amounts if s == start})
    pairs = []
    for first in range(0, (max(blocks, default=-1) + 1), 2):
        halves = [amounts.get((start, b, c)) for b in (first, first + 1) for c in (cell, base)]
        present = [h for h in halves if h is not None]
        if len(present) == len(halves):
            pairs.append((present[0] - present[1] + present[2] - present[3]) / 2)
    return pairs


def _precise(entries: tuple[Entry, ...], plan: Plan, stop: StopRule) -> bool:
    base, *others = plan.cells
    try:
        found = [compare(entries, c, base, stop.quantity) for c in others]
    except EvidenceError:
        return False
    return bool(found) and all(f.half_width <= stop.half_width and f.pairs >= stop.minimum_pairs for f in found)


def _run_start(experiment: Experiment, start: int, share_s: float, limit_s: float | None) -> bool:
    """Whether the start ended by itself."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_child, args=(experiment, start, share_s, time.monotonic()), name=f"start-{start}")
    process.start()
    process.join(limit_s)
    if process.is_alive():
        process.kill()
        process.join()
        return False
    if process.exitcode != 0:
        kept = experiment.ledger_path.name
        raise StageError(f"process start {start} ended with exit code {process.exitcode}; what it had finished is in {kept}")
    return True


def _child(experiment: Experiment, start: int, share_s: float, began_s: float) -> None:
    ledger = experiment.ledger()  # ``began_s`` is the parent's: loading libraries is part of a start's time
    by_kind = {k: [s for s in experiment.plan.start_slots(start) if s.kind is k] for k in Kind}
    with experiment.factory(start) as runner:
        for slot in by_kind[Kind.WARM_UP]:
            runner(slot)
        late = False
        for slot in by_kind[Kind.RUN]:
            _run_once(runner, slot, ledger)
            spent_s = time.monotonic() - began_s
            if slot.block == 0 and slot.position == len(experiment.plan.head) - 1 and not experiment.pace_path.exists():
                experiment.pace_path.write_text(f"{spent_s:.1f}")
            late = spent_s >= share_s
            if _ends(experiment, slot, late=late) and (late or _precise(ledger.entries(), experiment.plan, experiment.stop)):
                break
        for slot in by_kind[Kind.CONTROL] if not (late and experiment.stop.firm) else ():
            _run_once(runner, slot, ledger)


def _ends(experiment: Experiment, slot: Slot, *, late: bool) -> bool:
    """Whether a start may stop after this run: a pair is done; a firm plan, once the head of its first block is done."""
    plan = experiment.plan
    head_done = slot.block > 0 or slot.position >= len(plan.head) - 1
    if experiment.stop.firm and late and (head_done or slot.start > 0):
        return True
    return slot.position == len(plan.block) - 1 and (slot.block % 2 == 1 or not plan.paired)


def _run_once(runner: CellRunner, slot: Slot, ledger: Ledger) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise StageError("the process that asked for this measurement is gone")
    if not ledger.has(slot):
        ledger.add(runner(slot))
