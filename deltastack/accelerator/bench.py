"""The experiment: every set of layers, every technique and mechanism alone, in blocks with a twin of the base, over some starts.

A run is a metered session, repeated inside one window until the window is long enough for the counter of joules. All cells are
made ready (products in their forms, decode steps captured) before the first block, so that no window pays for it. A block runs
the factorial, then the techniques; the next block, of this start or the next one, runs them in the reverse order. Every run is
written down before the next; the same command goes on where it was cut.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from deltastack import machine_fingerprint
from deltastack.accelerator import cold, energy, idle, shapes, switches
from deltastack.accelerator import device as devices
from deltastack.accelerator.cold import ColdStart
from deltastack.accelerator.runner import BASE, Marks, Runner
from deltastack.accelerator.session import Server
from deltastack.accelerator.settings import Load, Switched
from deltastack.errors import StageError
from deltastack.experiment import contention
from deltastack.experiment.meter import Quantity
from deltastack.experiment.plan import Plan, distinct, plain
from deltastack.experiment.run_plan import CellRunner, Experiment, Stopped, StopRule, execute
from deltastack.model import MECHANISM, cell_name, cell_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deltastack.accelerator.idle import Idle
    from deltastack.experiment.ledger import Entry

HALF_WIDTH = 0.005
"""Of intervals of time that are narrow enough to stop early."""
STARTS = 3
"""With fewer a verdict is only indicative."""
_BASES, _TWINS = 3, 3
"""Runs of the base and of its twin in a block: the base weighs most in a product's gap, the twin says what is resolved."""
_COLD_BYTE, _COLD_BYTE_SMALL = 2**30, 2**20
_LOST = 4
"""So many processes may die on cells before the measurement is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a process start needs: picklable."""

    shape: str
    device: str
    load: Load
    cells: tuple[str, ...]
    seed: int = 0
    starts: int = STARTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """An experiment's runs, how it ended, and where."""

    entries: tuple[Entry, ...]
    stopped: Stopped
    host: str
    device: str
    neighbours: str
    """Who else used the machine, in one line."""
    loud: tuple[str, ...] | None
    """Why the machine was loud; empty for a quiet one, None where nothing could be read."""
    failed: dict[str, str]
    """Reason by cell that this device cannot run."""
    idle: Idle


def cells(*, factorial: bool = True, techniques: bool = True) -> tuple[str, ...]:
    """The base, every set of layers, every technique that stands for no layer, every mechanism, cold starts."""
    sets = (
        [cell_name(s) for n in range(1, len(switches.LAYERS) + 1) for s in combinations(switches.LAYERS, n)] if factorial else []
    )
    alone = [f"{t.layer}/{name}" for name, t in switches.TECHNIQUES.items() if not (t.on and factorial)] if techniques else []
    shared = [f"{MECHANISM}{name}" for name in switches.MECHANISMS]
    return (BASE, *sets, *shared, *alone, *(cold.CELLS if techniques else ()))


def switched(cell: str) -> Switched:
    """What is on in a cell; in a cold start nothing is.

    Raises:
        UnknownNameError: No such cell.
    """
    if cell in cold.CELLS:
        return Switched()
    return switches.alone(cell) if "/" in cell else switches.layer_cell(cell_of(cell))


def plan_of(setup: Setup, block_pairs: int) -> Plan:
    """The plan: the factorial with its mechanisms first in each block, then what stands for no layer."""
    tail = tuple(c for c in setup.cells if c in cold.CELLS or ("/" in c and not c.startswith(MECHANISM)))
    twin = distinct([BASE, BASE])[1]
    return Plan(
        cells=distinct([BASE, BASE, *setup.cells[1:]]),
        starts=setup.starts,
        block_pairs=block_pairs,
        seed=setup.seed,
        repeats=((BASE, _BASES), (twin, _TWINS)),
        warm=(BASE,),
        paired=False,
        tail=tail,
    )


def measure(setup: Setup, folder: Path, say: Callable[[str], None], *, budget_s: float, block_pairs: int) -> Measured:
    """Measure all cells of ``setup``.

    Args:
        setup: What is measured.
        folder: Where runs are written down.
        say: Told of progress.
        budget_s: Seconds; the factorial is run once however small it is.
        block_pairs: Blocks a start, at most.

    Raises:
        PreflightError: No such device here.
        UnknownNameError: No such shape or cell.
        StageError: The process of the measurement ended with an error that no cell explains.
    """
    began_s = time.perf_counter()
    shapes.shape(setup.shape)
    for cell in setup.cells:
        switched(cell)
    at, plan = devices.find(setup.device), plan_of(setup, block_pairs)
    where = host(at)
    key = hashlib.sha256(repr((setup, plan, where, _code())).encode()).hexdigest()[:20]
    marks = Marks(folder / key)
    still = idle.once(folder / key / "idle.json", lambda: _idle(setup, budget_s))
    with contention.watch() as neighbours:
        for _ in range(_LOST):
            left_s = budget_s - (time.perf_counter() - began_s)
            limit_s = max(left_s, 1.0) if at.cuda else None
            stop = StopRule(half_width=HALF_WIDTH, budget_s=left_s, quantity=Quantity.WALL_S, firm=True, limit_s=limit_s)
            experiment = Experiment(
                plan=plan, ledger_path=folder / f"{key}.jsonl", key=key, factory=Factory(setup, folder / key), stop=stop
            )
            try:
                stopped = execute(experiment, say)
                break
            except StageError as error:
                lost = marks.blame(f"the process ended while it ran this ({error})")
                if lost in {None, BASE}:
                    raise
                say(f"{lost}: the process ended; it is left out")
        else:
            stopped = Stopped.BUDGET
    for left in (folder / key).glob("*.bin"):  # of a start that was ended
        left.unlink()
    loud = neighbours.facts()["loud"]
    return Measured(
        entries=experiment.ledger().entries(),
        stopped=stopped,
        host=where,
        device=at.title,
        neighbours=neighbours.words(),
        loud=None if loud is None else tuple(loud),
        failed=marks.failed(),
        idle=still,
    )


def host(at: devices.Device) -> str:
    """The host's fingerprint, with board and driver."""
    board, _ = energy.open_board()
    driver = board.driver() if isinstance(board, energy.Nvml) and at.cuda else "none"
    return f"{machine_fingerprint.fingerprint(at.title)} | driver={driver}"


@dataclass(frozen=True, slots=True)
class Factory:
    """Opens the bench in a process start; picklable."""

    setup: Setup
    folder: Path

    def __call__(self, start: int) -> contextlib.AbstractContextManager[CellRunner]:
        """The context of one start."""
        return opened(start, self.setup, self.folder)


@contextlib.contextmanager
def opened(start: int, setup: Setup, folder: Path) -> Iterator[CellRunner]:
    """The runner of one process start: a server with every cell made ready.

    Every start has the same weights and prompts: what differs between starts is then the machine's.
    """
    del start
    at = devices.find(setup.device)
    at.settle()
    server = Server(shape=shapes.shape(setup.shape), load=setup.load, device=at, seed=setup.seed, folder=folder)
    file = ColdStart(at, folder / "cold.bin", _COLD_BYTE if at.cuda else _COLD_BYTE_SMALL)
    runner = Runner(server, Marks(folder), switched, file)
    try:
        runner.prepare(setup.cells)
        runner.settle()
        yield runner
    finally:
        server.release()
        file.remove()


def throttled(entries: tuple[Entry, ...]) -> dict[str, int]:
    """How many runs of each cell were held back, of those cells that have any."""
    return dict(Counter(plain(e.slot.cell) for e in entries if e.quality.get("throttled")))


def _idle(setup: Setup, budget_s: float) -> Idle:
    """Watts of a board that does nothing, where there is one and time for it."""
    if setup.device != "cuda":
        return idle.Idle(reason="a processor: no board to read")
    if budget_s < idle.LEAST_BUDGET_S:
        return idle.Idle(reason=f"less than {idle.LEAST_BUDGET_S:.0f} s of time: the starts need all of it")
    board, why = energy.open_board()
    return idle.observe(setup.device, 2 * shapes.shape(setup.shape).linear_parameters, board, why)


def _code() -> str:
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
