"""Where cells of layers run on the fleet: a workload, and one draw of every parameter at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from deltastack.errors import CapacityError, OutOfValidityError
from deltastack.fleet import accelerator, evaluate, settings
from deltastack.layers.techniques import ConfiguredTechnique, apply_techniques, chosen
from deltastack.model import Evidence, OperatingPoint, Usage, weakest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from deltastack.evaluation.cell_checkpoint import Kept
    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.settings import Settings
    from deltastack.fleet.simulator import Requests
    from deltastack.model import Layer

THREADS = 2


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

    @cached_property
    def _settings(self) -> tuple[Settings, ...]:
        return tuple(settings.load(self.root, draw=n, draws=self.draws).serving(self.served) for n in range(self.draws))

    def chosen(
        self, layer: Layer, draw: int = 0, override: Mapping[str, Mapping[str, Any]] | None = None
    ) -> tuple[ConfiguredTechnique, ...]:
        """A layer's techniques with one draw of their values."""
        return chosen(self.root, layer, draw=draw, draws=self.draws, override=override)

    def deployment(self, draw: int, techniques: Iterable[ConfiguredTechnique]) -> Deployment:
        """The base deployment with techniques on.

        Raises:
            OutOfValidityError: The physics of one does not hold here.
        """
        return apply_techniques(self._settings[draw].values.deployment.deployment(), techniques)

    def usage(self, draw: int, techniques: Iterable[ConfiguredTechnique]) -> dict[OperatingPoint, Usage]:
        """Usage per request of the base deployment with techniques on.

        Raises:
            DeltastackError: As ``evaluate.run``.
        """
        deployment = self.deployment(draw, techniques)
        return evaluate.run(deployment, self.requests, accelerator.load(self.root, deployment.platform), self._settings[draw])

    def seen(self, draw: int, techniques: Iterable[ConfiguredTechnique]) -> dict[str, str]:
        """What techniques were seen to do at the trace's own arrivals, in words; empty where the amounts say it all.

        Raises:
            DeltastackError: As ``evaluate.run``.
        """
        deployment = self.deployment(draw, techniques)
        known = self._settings[draw]
        ready = evaluate.prepare(deployment, self.requests, accelerator.load(self.root, deployment.platform), known.values)
        return evaluate.observe(ready, ready.requests, known).words()

    def usages(self, cells: Sequence[tuple[int, Cell]], kept: Kept | None = None) -> list[dict[OperatingPoint, Usage] | str]:
        """Usage of every (draw, cell), in order; the reason in words where a cell does not hold.

        Args:
            cells: By name different in each draw, if they are ``kept``.
            kept: Cells that are there are not run again, and finished ones are added.

        Raises:
            DeltastackError: Anything but a technique out of validity or a workload that does not fit.
        """

        def one(job: tuple[int, Cell]) -> dict[OperatingPoint, Usage] | str:
            draw, cell = job
            there = None if kept is None else kept.get(draw, cell.name)
            if there is not None:
                return there
            found = self._held(draw, cell)
            if kept is not None:
                kept.add(draw, cell.name, found)
            return found

        with ThreadPoolExecutor(max_workers=THREADS) as pool:
            return list(pool.map(one, cells))

    def _held(self, draw: int, cell: Cell) -> dict[OperatingPoint, Usage] | str:
        try:
            return self.usage(draw, cell.techniques)
        except (OutOfValidityError, CapacityError) as error:
            return str(error)
