"""One experiment of an engine: every run is a server start, written down before the next; a fault ends its own cell only.

Blocks come in pairs, the second in reverse order (``experiment.plan``). Running again with the same ledger goes on where it was
cut, cell by cell and block by block. A run that fails is tried again, with those whose servers were up beside it; then its cell
is given up by name, and the others go on.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from deltastack.contracts.lines import Lines
from deltastack.engine.cells import BASE
from deltastack.engine.faults import FaultKind, RunsError
from deltastack.engine.outputs import Output
from deltastack.errors import EvidenceError, StageError
from deltastack.experiment.ledger import Ledger
from deltastack.experiment.plan import Kind, Plan, Slot, plain
from deltastack.experiment.run_plan import Stopped, StopRule, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from deltastack.engine.declaration import Engine
    from deltastack.engine.observe import Observed
    from deltastack.errors import CellError
    from deltastack.experiment.ledger import Entry


class Observer(Protocol):
    """Runs slots, several at once; of those in ``ask`` it wants the answers to the questions too."""

    def __call__(self, slots: Sequence[Slot], *, ask: Collection[Slot]) -> tuple[Observed, ...]:
        """Run them.

        Raises:
            RunsError: Some run does not count.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """An experiment's runs, how it ended, which cells were given up and why, and what the cells answered."""

    entries: tuple[Entry, ...]
    stopped: Stopped
    given_up: Mapping[str, str]
    faults: tuple[str, ...]
    """Every failed run in words, also those that a second try mended."""
    outputs: Mapping[str, Output]
    block_s: float | None = None
    """Seconds of a block with everything around its runs; None where none was run now."""


class Experiment:
    """A plan with its records on disk: runs, faults, outputs."""

    def __init__(self, plan: Plan, folder: Path, key: str, engine: Engine) -> None:
        """Open the records of ``key`` in ``folder``.

        Raises:
            EvidenceError: They belong to another key.
        """
        self.plan, self.unit = plan, engine.unit
        self._attempts, self._together = engine.limits.attempts, engine.experiment.together
        self._paths = [folder / f"{key}.{part}.jsonl" for part in ("runs", "faults", "outputs")]
        self.ledger = Ledger(self._paths[0], key)
        self._faults, self._outputs = Lines(self._paths[1], key), Lines(self._paths[2], key)
        self._failed = [(str(f["slot"]), str(f["cell"]), str(f["kind"]), str(f["words"])) for f in self._faults.there]
        self.outputs = {str(o["cell"]): Output.of_json(o) for o in self._outputs.there}

    @property
    def given_up(self) -> dict[str, str]:
        """Cells that are not tried again, with the last reason."""
        found = {}
        for slot, cell, kind, words in self._failed:
            tries = sum(s == slot for s, *_ in self._failed)
            if FaultKind(kind).final or tries >= self._attempts:
                found[cell] = words
        return found

    @property
    def faults(self) -> tuple[str, ...]:
        """Every failed run in words."""
        return tuple(f"{slot}: {words}" for slot, _, _, words in self._failed)

    def missing(self, slots: Sequence[Slot]) -> list[Slot]:
        """Those of ``slots`` that are still to be run."""
        lost = self.given_up
        return [s for s in slots if not self.ledger.has(s) and plain(s.cell) not in lost]

    def groups(self, slots: Sequence[Slot]) -> Iterator[list[Slot]]:
        """``slots`` in groups whose servers are up at once: those of a block, or each alone."""
        for _, group in itertools.groupby(slots, key=lambda s: (s.start, s.block, None if self._together else s.position)):
            yield list(group)

    def unasked(self, slots: Sequence[Slot]) -> list[Slot]:
        """The first run of every cell whose answers are not there yet."""
        first = {plain(s.cell): s for s in reversed(slots)}
        return [s for cell, s in first.items() if cell not in self.outputs]

    def finished(self, observed: Observed) -> None:
        """Write one good run down."""
        cell = plain(observed.entry.slot.cell)
        if cell not in self.outputs:
            self.outputs[cell] = Output.of_records(observed.records, observed.answered)
            self._outputs.append({"cell": cell} | self.outputs[cell].as_json())
        self.ledger.add(observed.entry)

    def failed(self, slot: Slot, error: CellError) -> None:
        """Write one failed run down."""
        fault = {"slot": slot.key, "cell": plain(slot.cell), "kind": error.kind, "words": str(error)}
        self._faults.append(fault)
        self._failed.append((fault["slot"], fault["cell"], fault["kind"], fault["words"]))

    def forget(self) -> None:
        """The rows are written: remove the records."""
        for path in self._paths:
            path.unlink(missing_ok=True)


def execute(experiment: Experiment, observe: Observer, stop: StopRule, say: Callable[[str], None]) -> Measured:
    """Run what the records do not hold yet; one pair of blocks at least, however small the budget is.

    Raises:
        StageError: The base cannot be run, so nothing can be compared.
    """
    began_s, stopped, blocks = time.monotonic(), Stopped.COMPLETE, 0
    for number, slots in enumerate(pairs(experiment.plan)):
        todo = experiment.missing(slots)
        if not todo:
            continue
        early = _early(experiment, stop, time.monotonic() - began_s, len(todo)) if number else None
        if early is not None:
            stopped = early
            break
        say(f"blocks {2 * number + 1} and {2 * number + 2}: {len(todo)} {experiment.unit}")
        for group in experiment.groups(todo):
            _tried(experiment, observe, group, say)
        blocks += len({s.block for s in todo})
    block_s = (time.monotonic() - began_s) / blocks if blocks else None
    entries = experiment.ledger.entries()
    return Measured(
        entries=entries,
        stopped=stopped,
        given_up=experiment.given_up,
        faults=experiment.faults,
        outputs=experiment.outputs,
        block_s=block_s,
    )


def pairs(plan: Plan) -> Iterator[list[Slot]]:
    """The runs of each pair of blocks, in order; an engine's runs have no warm-up and no control of their own."""
    runs = [s for s in plan.slots() if s.kind is Kind.RUN]
    for _, pair in itertools.groupby(runs, key=lambda s: (s.start, s.block // 2)):
        yield list(pair)


def key(parts: Sequence[str], files: Sequence[Path]) -> str:
    """A hash of what an experiment depends on: words, and the sizes and times of ``files``; the bench's code is added."""
    digest = hashlib.sha256("\0".join(parts).encode())
    for file in files:
        stat = file.stat()
        digest.update(f"{file.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:20]


def _tried(experiment: Experiment, observe: Observer, group: Sequence[Slot], say: Callable[[str], None]) -> None:
    """Run a group, again if one of it fails, until each is done or its cell is given up."""
    while left := experiment.missing(group):
        try:
            for observed in observe(left, ask=experiment.unasked(left)):
                experiment.finished(observed)
        except RunsError as failed:
            for slot, error in failed.found.items():
                experiment.failed(slot, error)
                say(f"{slot.cell}, block {slot.block + 1}: {error}")
        if lost := experiment.given_up.get(BASE):
            raise StageError(f"the base cannot be run, so nothing can be compared: {lost}")


def _early(experiment: Experiment, stop: StopRule, spent_s: float, runs: int) -> Stopped | None:
    """Why no further pair of blocks is begun; None if one is."""
    entries = experiment.ledger.entries()
    if _precise(experiment, stop):
        return Stopped.PRECISE
    here = len(entries) + len(experiment.faults)
    pace_s = spent_s / max(1, here)
    return Stopped.BUDGET if spent_s + pace_s * runs > stop.budget_s else None


def _precise(experiment: Experiment, stop: StopRule) -> bool:
    entries = experiment.ledger.entries()
    others = [c for c in experiment.plan.cells[1:] if plain(c) not in experiment.given_up]
    try:
        found = [compare(entries, c, BASE, stop.quantity) for c in others]
    except EvidenceError:
        return False
    return bool(found) and all(f.half_width <= stop.half_width and f.pairs >= stop.minimum_pairs for f in found)
