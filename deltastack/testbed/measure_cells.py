"""One experiment of the testbed: which cells can be entered, the plan, the ledger, the runs.

The ledger lies in the checkout's run folder under a name that is a hash of plan, parameters, code and host, so a cut
experiment goes on where it stopped and another one never mixes with it. ``finish`` removes it once its rows are written:
measuring again measures again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from deltastack import machine_fingerprint
from deltastack.errors import OutOfValidityError
from deltastack.experiment.plan import Plan, distinct
from deltastack.experiment.run_plan import Experiment, Stopped, StopRule, execute
from deltastack.testbed import bench
from deltastack.testbed.operation_count import audit
from deltastack.testbed.vlm import models, requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from deltastack.experiment.ledger import Entry
    from deltastack.testbed.bench import Setup
    from deltastack.testbed.operation_count import Work
    from deltastack.testbed.vlm.engine import Engine

_FOLDER = ".run/ledgers"
CODE = ("composition", "contracts", "evaluation", "layers", "model.py", "params.py", "statistics", "testbed", "workload")
"""What of the domain decides a measured cell: the switches' code, and which techniques a cell switches on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much may be spent on one experiment."""

    starts: int
    budget_s: float
    block_pairs: int
    half_width: float
    seed: int
    repeats: Mapping[str, int] = field(default_factory=dict)
    """Runs a block of some cells; where any are named, these alone warm up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """An experiment's runs, how it ended, what could not be entered, and on which host it ran."""

    entries: tuple[Entry, ...]
    stopped: Stopped
    refused: Mapping[str, str]
    host: str
    ledger: Path

    def finish(self) -> None:
        """The rows are written: forget the ledger."""
        self.ledger.unlink(missing_ok=True)


def measure(
    engine: Engine, setup: Setup, effort: Effort, say: Callable[[str], None], *, cells: tuple[str, ...] | None = None
) -> Measured:
    """Run ``cells`` of ``setup`` (all by default, an A/A twin of ``base`` added) as one experiment.

    Args:
        engine: The engine of ``setup``, to see which cells can be entered; every process start builds its own.
        setup: What a process start needs.
        effort: What may be spent.
        say: Told of progress.
        cells: In this order, the base first; a name may stand twice.

    Raises:
        OutOfValidityError: No cell but the base can be entered here.
        DeltastackError: As ``experiment.execute``.
    """
    possible, refused = bench.possible(engine, setup.cells)
    wanted = cells or ("base", "base", *(c for c in possible if c != "base"))
    for name, reason in refused.items():
        say(f"{name} is left out: {reason}")
    unable = [c for c in wanted if c in refused]
    if cells is not None and unable:
        raise OutOfValidityError(f"'{unable[0]}' cannot be entered here: {refused[unable[0]]}")
    repeats = {c: n for c, n in effort.repeats.items() if c in wanted}
    plan = Plan(
        cells=distinct(list(wanted)),
        starts=effort.starts,
        block_pairs=effort.block_pairs,
        seed=effort.seed,
        repeats=tuple(repeats.items()),
        warm=tuple(repeats) or None,
    )
    where = machine_fingerprint.fingerprint(engine.device.name)
    run = replace(setup, cells=possible)
    key = _key(run, plan, where)
    experiment = Experiment(
        plan=plan,
        ledger_path=setup.root / _FOLDER / f"{key}.jsonl",
        key=key,
        factory=_Factory(run),
        stop=StopRule(half_width=effort.half_width, budget_s=effort.budget_s),
    )
    stopped = execute(experiment, say)
    return Measured(
        entries=experiment.ledger().entries(), stopped=stopped, refused=refused, host=where, ledger=experiment.ledger_path
    )


def exact(setup: Setup, cells: Iterable[str]) -> dict[str, Work]:
    """The exact work of one session of each of ``cells``, counted outside any timed window."""
    engine = models.engine(setup.root, setup.settings)
    p = setup.settings
    session = requests.batches(engine.host, p.session, text_share=setup.text_share, trained=p.profile == "trained")
    found = {}
    for cell in cells:
        with bench.entered(engine, setup.cells[cell]):
            found[cell] = audit(engine, session)
    return found


@dataclass(frozen=True, slots=True)
class _Factory:
    """Opens the bench in a process start; picklable."""

    setup: Setup

    def __call__(self, start: int) -> bench.Opened:
        """The context of one start."""
        return bench.opened(start, self.setup)


def _key(setup: Setup, plan: Plan, where: str) -> str:
    digest = hashlib.sha256(json.dumps(setup.settings.model_dump(mode="json"), sort_keys=True).encode())
    digest.update(repr((plan, setup.text_share, where, sorted(setup.cells), [repr(v) for v in setup.cells.values()])).encode())
    code = Path(__file__).parents[1]
    for start in (code / name for name in CODE):
        for file in sorted((start, *start.rglob("*.py"))):
            if file.is_file():
                digest.update(f"{file.relative_to(code)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}".encode())
    return digest.hexdigest()[:20]
