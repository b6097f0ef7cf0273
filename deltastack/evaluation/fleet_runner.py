"""Where cells of layers run on the fleet: a workload, and one draw of every parameter at a time."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deltastack.errors import CapacityError, OutOfValidityError, ParamsError
from deltastack.fleet import accelerator, evaluate, settings
from deltastack.fleet.executor import Threads
from deltastack.fleet.once import Once
from deltastack.layers.techniques import ConfiguredTechnique, apply_techniques, chosen
from deltastack.model import NO_SCENE, Evidence, OperatingPoint, Usage, weakest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from deltastack.evaluation.cell_checkpoint import Kept
    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.executor import Executor
    from deltastack.fleet.full_load import Offered
    from deltastack.fleet.scene import Scene
    from deltastack.fleet.settings import Settings
    from deltastack.fleet.simulator import Requests
    from deltastack.layers.technique import Layer


SIDE_BY_SIDE = 2
"""Draws whose cells run in turn."""
DRAWS_AT_ONCE = 2 * SIDE_BY_SIDE
"""Draws whose simulations are kept."""


class Refused(NamedTuple):
    """A technique outside the domain in which its physics holds, here."""

    layer: str
    technique: str
    reason: str


class Cell(NamedTuple):
    """A deployment to simulate: what is switched on in it, and how well that is known."""

    name: str
    techniques: tuple[ConfiguredTechnique, ...]

    @property
    def evidence(self) -> Evidence:
        """The weakest of what is switched."""
        return weakest([Evidence.SIMULATED, *(t.evidence for t in self.techniques)])


@dataclass(frozen=True)
class FleetRunner:
    """A workload and the parameters of a checkout, ready to run cells."""

    root: Path
    requests: Requests
    draws: int
    canonical: bool
    served: Mapping[str, Any] = field(default_factory=dict)
    """Values in the place of those of ``deployment`` in params/fleet.yaml."""
    scene: Scene | None = None
    """What is served, for whom, and with what switched on; None: params/fleet.yaml and params/layers as they are."""
    executor: Executor = field(default_factory=Threads)
    """Where cells run."""
    central_arrivals: int | None = None
    """Seeds of arrivals with the central values; None: those of params/fleet.yaml."""
    kept: Kept | None = field(default=None, compare=False)
    """Cells that are there are not run again, and finished ones are added."""
    _known: dict[tuple[int, str], dict[OperatingPoint, Usage] | str] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _loads: Once = field(default_factory=lambda: Once(DRAWS_AT_ONCE), init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """What travels to another process: neither what was simulated already, nor what is kept."""
        return {k: v for k, v in self.__dict__.items() if k not in {"_loads", "_known", "kept"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As it was, with nothing simulated yet."""
        self.__dict__.update(state | {"_loads": Once(DRAWS_AT_ONCE), "_known": {}, "kept": None})

    @property
    def scene_name(self) -> str:
        """The scene's name in tables."""
        return self.scene.name if self.scene else NO_SCENE

    @cached_property
    def _settings(self) -> tuple[Settings, ...]:
        found = [
            settings.load(self.root, draw=n, draws=self.draws, scene=self.scene).serving(self.served) for n in range(self.draws)
        ]
        if self.central_arrivals is not None:
            found[0] = found[0].seeded(self.central_arrivals)
        return tuple(found)

    def _platform(self, name: str) -> Platform:
        """A platform of the checkout, read once."""
        found: Platform = self._loads.of(("platform", name), lambda: accelerator.load(self.root, name))
        return found

    def chosen(
        self, layer: Layer, draw: int = 0, override: Mapping[str, Mapping[str, Any]] | None = None
    ) -> tuple[ConfiguredTechnique, ...]:
        """A layer's techniques with one draw of their values."""
        return chosen(self.root, layer, draw=draw, draws=self.draws, override=override, scene=self.scene)

    def deployment(self, draw: int, techniques: Iterable[ConfiguredTechnique]) -> Deployment:
        """The base deployment with techniques on.

        Raises:
            OutOfValidityError: The physics of one does not hold here.
        """
        return apply_techniques(self._settings[draw].values.deployment.deployment(), techniques)

    def check(self) -> None:
        """Refuse a scene whose deployment meets its goals at no rate, with nothing switched.

        Raises:
            ParamsError: The scene, its goals, and what it reaches; in one line.
            UnknownNameError: No operator times for its model on its platform.
        """
        known = self._settings[0]
        base = known.values.deployment.deployment()
        ready = evaluate.prepare(base, self.requests, self._platform(base.platform), known.values)
        try:
            self._offered(0).full(ready.server)
        except CapacityError as error:
            where = self.scene.file if self.scene else settings.FILE
            wanted = ", ".join(f"{k} {v:g}" for k, v in known.values.goals.model_dump().items())
            raise ParamsError(
                f"{where}: {base.model} on {base.platform} meets its goals ({wanted}) at no rate: {error}"
            ) from error

    def usage(self, draw: int, techniques: Iterable[ConfiguredTechnique]) -> dict[OperatingPoint, Usage]:
        """Usage per request of the base deployment with techniques on.

        Raises:
            DeltastackError: As ``evaluate.run``.
        """
        deployment, known = self.deployment(draw, techniques), self._settings[draw]
        where = self._platform(deployment.platform)
        return evaluate.run(deployment, self.requests, where, known, self._offered(draw))

    def _offered(self, draw: int) -> Offered:
        """What every cell of a draw is offered; the unloaded times of its requests are simulated once."""

        def make() -> Offered:
            known = self._settings[draw]
            base = known.values.deployment.deployment()
            where = self._platform(base.platform)
            return evaluate.offered(evaluate.prepare(base, self.requests, where, known.values), known)

        found: Offered = self._loads.of(draw, make)
        return found

    def seen(self, draw: int, techniques: Iterable[ConfiguredTechnique]) -> dict[str, str]:
        """What techniques were seen to do at the trace's own arrivals, in words; empty where the amounts say it all.

        Raises:
            DeltastackError: As ``evaluate.run``.
        """
        deployment = self.deployment(draw, techniques)
        known = self._settings[draw]
        ready = evaluate.prepare(deployment, self.requests, self._platform(deployment.platform), known.values)
        return evaluate.observe(ready, ready.requests, known).words()

    def said(self, technique: ConfiguredTechnique, draw: int = 0) -> str:
        """What a technique does to the deployment, and what it was seen to do alone at the trace's own arrivals, in words.

        Raises:
            DeltastackError: As ``evaluate.run``.
        """
        does, seen = (
            found.get(technique.name) for found in (self.deployment(draw, (technique,)).notes, self.seen(draw, (technique,)))
        )
        return "; ".join(filter(None, (does, seen)))

    def usages(self, cells: Sequence[tuple[int, Cell]]) -> list[dict[OperatingPoint, Usage] | str]:
        """Usage of every (draw, cell), in order; the reason in words where a cell does not hold.

        Cells of equal content are simulated once: a layer with nothing on, a technique that is all of its layer, the base. So are
        those of a draw that differ in nothing that decides when requests end: the rest is charged to one simulation.

        Raises:
            DeltastackError: Anything but a technique out of validity or a workload that does not fit.
        """
        keys = [(draw, self.content(draw, cell.techniques)) for draw, cell in cells]
        for key in {k for k in keys if k not in self._known}:
            if self.kept is not None and (found := self.kept.get(*key)) is not None:
                self._known[key] = found
        left = {key: job for key, job in zip(keys, cells, strict=True) if key not in self._known}

        def keep(job: tuple[tuple[int, str], tuple[int, Cell]], found: dict[OperatingPoint, Usage] | str) -> None:
            self._known[job[0]] = found
            if self.kept is not None:
                self.kept.add(*job[0], found)

        self.executor.map(self._held, _by_draw(left), keep)
        return [self._known[key] for key in keys]

    def content(self, draw: int, techniques: Iterable[ConfiguredTechnique]) -> str:
        """A hash of all that a cell's usage depends on, beside the code and params/platforms; equal cells have equal hashes.

        The notes of a deployment are words, and are left out.
        """
        try:
            what = repr(replace(self.deployment(draw, techniques), notes={}))
        except OutOfValidityError as error:
            what = f"refused: {error}"
        return hashlib.sha256(f"{self._workload_hash} {self._settings[draw]!r} {what}".encode()).hexdigest()[:32]

    @cached_property
    def _workload_hash(self) -> str:
        digest = hashlib.sha256()
        for one in fields(self.requests):
            values = np.ascontiguousarray(getattr(self.requests, one.name))
            digest.update(f"{one.name} {values.dtype} {values.shape}".encode() + values.tobytes())
        return digest.hexdigest()

    def _held(self, job: tuple[tuple[int, str], tuple[int, Cell]]) -> dict[OperatingPoint, Usage] | str:
        draw, cell = job[1]
        try:
            return self.usage(draw, cell.techniques)
        except (OutOfValidityError, CapacityError) as error:
            return str(error)


def _by_draw(jobs: Mapping[tuple[int, str], tuple[int, Cell]]) -> list[tuple[tuple[int, str], tuple[int, Cell]]]:
    """Jobs of a few draws at a time, from each in turn: cells of one draw share simulations, those of two run side by side."""
    seen: Counter[int] = Counter()
    turns = []
    for key, job in jobs.items():
        draw = key[0]
        turns.append(((draw // SIDE_BY_SIDE, seen[draw], draw), (key, job)))
        seen[draw] += 1
    return [job for _, job in sorted(turns, key=itemgetter(0))]
