"""The experiment: every set of layers, every technique and mechanism alone, in blocks A-B-B-A with a twin of the base.

A run is a metered session, repeated inside one window until the window is long enough for the counter of joules. All cells are
made ready (products in their forms, decode steps captured) before the first block, so that no window pays for it. Every run is
written down before the next; the same command goes on where it was cut.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from deltastack import machine_fingerprint
from deltastack.accelerator import device as devices
from deltastack.accelerator import energy, shapes, switches
from deltastack.accelerator.session import PHASES, Served, Server
from deltastack.accelerator.settings import Load, Switched
from deltastack.experiment import contention
from deltastack.experiment.ledger import Entry
from deltastack.experiment.meter import Quantity, Reading
from deltastack.experiment.plan import Plan, distinct, plain
from deltastack.experiment.run_plan import CellRunner, Experiment, Stopped, StopRule, execute
from deltastack.model import MECHANISM, Component, Resource, cell_name, cell_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deltastack.accelerator.energy import Board, Energy
    from deltastack.experiment.plan import Slot

BASE = "base"
HALF_WIDTH = 0.005
"""Of intervals of time that are narrow enough to stop early."""
COMPONENTS = {
    "restore": Component.STORAGE,
    "encode": Component.ENCODER,
    "prefill": Component.OTHER,
    "decode": Component.OTHER,
}
"""Attention and feed-forward run beside each other in some cells, so the decoder is one component."""
_SHORTEST_S = 1.5
"""Of a window in which joules are read; standard deviation 0.3 % there (measured by this project, H100, 2026-11-26)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a process start needs: picklable."""

    shape: str
    device: str
    load: Load
    cells: tuple[str, ...]
    seed: int = 0


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


def cells(*, factorial: bool = True, techniques: bool = True) -> tuple[str, ...]:
    """The base, every set of layers, every technique that stands for no layer, every mechanism."""
    sets = (
        [cell_name(s) for n in range(1, len(switches.LAYERS) + 1) for s in combinations(switches.LAYERS, n)] if factorial else []
    )
    alone = [f"{t.layer}/{name}" for name, t in switches.TECHNIQUES.items() if not (t.on and factorial)] if techniques else []
    shared = [f"{MECHANISM}{name}" for name in switches.MECHANISMS]
    return (BASE, *sets, *alone, *shared)


def switched(cell: str) -> Switched:
    """What is on in a cell.

    Raises:
        UnknownNameError: No such cell.
    """
    return switches.alone(cell) if "/" in cell else switches.layer_cell(cell_of(cell))


def measure(setup: Setup, folder: Path, say: Callable[[str], None], *, budget_s: float, block_pairs: int) -> Measured:
    """Measure all cells of ``setup``.

    Args:
        setup: What is measured.
        folder: Where runs are written down.
        say: Told of progress.
        budget_s: Seconds; one pair of blocks is run however small it is.
        block_pairs: At most.

    Raises:
        PreflightError: No such device here.
        UnknownNameError: No such shape or cell.
        StageError: The process of the measurement ended with an error.
    """
    shapes.shape(setup.shape)
    for cell in setup.cells:
        switched(cell)
    at = devices.find(setup.device)
    plan = Plan(
        cells=distinct([BASE, BASE, *setup.cells[1:]]),
        starts=1,
        block_pairs=block_pairs,
        seed=setup.seed,
        repeats=((BASE, 2),),
        warm=(BASE,),
    )
    where = host(at)
    key = hashlib.sha256(repr((setup, plan, where, _code())).encode()).hexdigest()[:20]
    stop = StopRule(half_width=HALF_WIDTH, budget_s=budget_s, quantity=Quantity.WALL_S)
    experiment = Experiment(plan=plan, ledger_path=folder / f"{key}.jsonl", key=key, factory=Factory(setup), stop=stop)
    with contention.watch() as neighbours:
        stopped = execute(experiment, say)
    entries = experiment.ledger().entries()
    loud = neighbours.facts()["loud"]
    return Measured(
        entries=entries,
        stopped=stopped,
        host=where,
        device=at.title,
        neighbours=neighbours.words(),
        loud=None if loud is None else tuple(loud),
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

    def __call__(self, start: int) -> contextlib.AbstractContextManager[CellRunner]:
        """The context of one start."""
        return opened(start, self.setup)


@contextlib.contextmanager
def opened(start: int, setup: Setup) -> Iterator[CellRunner]:
    """The runner of one process start: a server with every cell made ready."""
    at = devices.find(setup.device)
    at.settle()
    server = Server(shape=shapes.shape(setup.shape), load=setup.load, device=at, seed=setup.seed + start)
    runner = Runner(server)
    for cell in setup.cells:
        runner.prepare(switched(cell))
    runner.settle()
    yield runner
    server.release()


@dataclass(slots=True)
class Runner:
    """Runs slots on a server, and compares answers with the base's."""

    server: Server
    _board: Board | None = None
    _why: str | None = None
    _sessions: int = 1
    _base: Served | None = field(default=None)

    def prepare(self, on: Switched) -> None:
        """Make a cell ready."""
        self.server.prepare(on)

    def settle(self) -> None:
        """Run the base twice: its answers are the reference, its time gives the sessions a window."""
        self._board, self._why = energy.open_board() if self.server.device.cuda else (None, "a processor: no board to read")
        self.server.run(Switched())
        self._base = self.server.run(Switched())
        wanted = _SHORTEST_S if self._board is not None else 0.0
        self._sessions = max(1, -int(-wanted // self._base.total_s))

    def __call__(self, slot: Slot) -> Entry:
        """One window of one cell."""
        on, found = switched(plain(slot.cell)), list[Served]()
        self.server.device.forget_peak()

        def work() -> None:
            found.extend(self.server.run(on) for _ in range(self._sessions))

        read = energy.metered(self._board, self._why, work)
        return self._entry(slot, found, read)

    def _entry(self, slot: Slot, found: list[Served], read: Energy) -> Entry:
        n = len(found)
        phases = {p: sum(s.seconds[p] for s in found) / n for p in PHASES}
        total = sum(phases.values())
        joules = None if read.joules is None else read.joules / n
        spent: dict[str, dict[str, float]] = {}
        for phase, component in COMPONENTS.items():
            mine = spent.setdefault(str(component), {str(Resource.TIME_S): 0.0})
            mine[str(Resource.TIME_S)] += phases[phase]
        if joules is not None:
            for mine in spent.values():
                mine[str(Resource.ENERGY_J)] = joules * mine[str(Resource.TIME_S)] / total
        readings = {
            Quantity.WALL_S: Reading(total, "waits for the device around each phase"),
            Quantity.ENERGY_J: Reading(joules, "NVML", read.reason),
            Quantity.MEMORY_PEAK_BYTE: _peak(self.server),
        }
        return Entry(slot=slot, readings=readings, components=spent, quality=self._figures(phases, found[-1], read, n))

    def _figures(self, phases: dict[str, float], served: Served, read: Energy, sessions: int) -> dict[str, float]:
        """Seconds by phase, agreement of answers with the base's, clock and throttling."""
        assert self._base is not None  # noqa: S101 - ``settle`` has run
        there = served.first >= 0
        told = {f"{name}_s": seconds for name, seconds in phases.items()}
        told["sessions"] = float(sessions)
        told["agreement_last"] = float((served.tokens == self._base.tokens).float().mean())
        told["agreement_first"] = float((served.first == self._base.first)[there].float().mean())
        if read.clock_hz is not None:
            told |= {"clock_hz": read.clock_hz, "throttled": float(bool(read.throttled))}
        return told


def fairness(entries: tuple[Entry, ...], shape: str, load: Load, bandwidth_byte_s: float, peak_flop_s: float) -> dict[str, float]:
    """How good the base is: its decode step over its bytes' time at peak bandwidth, its prefill over the peak of operations.

    A decode step reads every weight of the decoder and the head once, and the keys and values of all requests at mean context. A
    prefill computes two operations a weight and token, and attention's products.

    Args:
        entries: Runs of the base among others.
        shape: The model.
        load: The session.
        bandwidth_byte_s: Peak of the board's memory.
        peak_flop_s: Peak of the board in the base's arithmetic.

    Returns:
        ``decode_over_bound`` (1 is the bound) and ``prefill_share_of_peak``.
    """
    s = shapes.shape(shape)
    base = [e for e in entries if plain(e.slot.cell) == BASE]
    decode_s = min(e.quality["decode_s"] for e in base) / load.output_tokens
    prefill_s = min(e.quality["prefill_s"] for e in base)
    counts = (load.with_image, load.requests - load.with_image)
    lengths = (load.image_tokens + load.text_tokens, load.text_tokens)
    context = sum(c * (n + load.output_tokens // 2) for c, n in zip(counts, lengths, strict=True))
    read_byte = 2 * s.linear_parameters + s.kv_byte(context)
    tokens = sum(c * n for c, n in zip(counts, lengths, strict=True))
    products = 2.0 * (s.linear_parameters - s.vocabulary * s.hidden) * tokens
    attended = sum(c * 2.0 * s.layers * s.heads * s.head_dim * n * n for c, n in zip(counts, lengths, strict=True))
    return {
        "decode_over_bound": decode_s / (read_byte / bandwidth_byte_s),
        "prefill_share_of_peak": (products + attended) / prefill_s / peak_flop_s,
    }


def throttled(entries: tuple[Entry, ...]) -> dict[str, int]:
    """How many runs of each cell were held back, of those cells that have any."""
    return dict(Counter(plain(e.slot.cell) for e in entries if e.quality.get("throttled")))


def _peak(server: Server) -> Reading:
    byte = server.device.memory_byte()
    return Reading(byte, "torch's allocator", None if byte is not None else "a processor: no allocator of a board")


def _code() -> str:
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
