"""A sweep: scenes with nothing switched on, on other platforms, in other precisions, at many rates.

Every point is offered the same sample of its scene's requests as a Poisson stream, and a request's goal is that of the scene's
own deployment, so that platforms are held to one measure. What cannot be (no operator times, no room, a rate that nothing
meets) is a row of nulls with its reason.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import product
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deltastack.errors import CapacityError, OutOfValidityError, UnknownNameError
from deltastack.fleet import accelerator, deployment_query, evaluate, load_samples, settings, slo
from deltastack.fleet.operators import SCHEMES, tables_for
from deltastack.fleet.simulator import e2e_s, percentiles, tpot_s, ttft_s
from deltastack.model import Evidence, Resource, weakest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from deltastack.contracts.lines import Lines
    from deltastack.fleet.evaluate import Prepared, Run
    from deltastack.fleet.executor import Executor
    from deltastack.fleet.scene import Scene
    from deltastack.fleet.settings import Settings
    from deltastack.fleet.simulator import Requests
    from deltastack.fleet.slo import Objectives

AMOUNTS = (Resource.ENERGY_J, Resource.COST_USD, Resource.CARBON_G)
OVERLOADED = "overloaded"
"""How the reason of a row without amounts begins where too few requests meet their goal."""
Row = tuple[Any, ...]


class Point(NamedTuple):
    """One cell of the sweep."""

    scene: str
    platform: str
    precision: str
    replicate: int
    rate_per_s: float


@dataclass(frozen=True)
class Sweep:
    """The scenes of a sweep, ready to run points; it travels to processes and clusters."""

    root: Path
    draws: int
    scenes: dict[str, Scene]
    samples: dict[str, tuple[Requests, ...]]
    """By scene, the requests that every point of a draw is offered, at one a second."""
    _aims: dict[tuple[str, int], Objectives] = field(default_factory=dict, init=False, repr=False, compare=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """What travels: neither what was simulated already, nor the lock."""
        return {k: v for k, v in self.__dict__.items() if k not in {"_aims", "_lock"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As it was, with nothing simulated yet."""
        self.__dict__.update(state | {"_aims": {}, "_lock": Lock()})

    def row(self, point: Point) -> Row:
        """A row of ``contracts.SWEEP``."""
        try:
            return (*point, *self._found(point))
        except (UnknownNameError, CapacityError, OutOfValidityError) as error:
            return (*point, *[None] * (4 + 1 + len(AMOUNTS)), str(Evidence.SIMULATED), " ".join(str(error).split()))

    def digest(self, scene: str) -> str:
        """A hash of a scene and of what it offers."""
        digest = hashlib.sha256(f"{self.scenes[scene]!r} {self.draws}".encode())
        for sample in self.samples[scene]:
            for one in fields(sample):
                digest.update(f"{one.name}".encode() + np.ascontiguousarray(getattr(sample, one.name)).tobytes())
        return digest.hexdigest()[:16]

    def _found(self, point: Point) -> Row:
        known, where = self._known(point), accelerator.load(self.root, point.platform)
        deployment = replace(known.values.deployment.deployment(), platform=point.platform, precision=point.precision)
        aim = self._aim(point.scene, point.replicate, known)
        ready = evaluate.prepare(deployment, aim.requests, where, known.values)
        seen = load_samples.at(aim.requests, point.rate_per_s)
        run = evaluate.observe(ready, seen, known, rate_per_s=point.rate_per_s)
        met = aim.met(run.result)
        late = [percentiles(values)["p99"] for values in (ttft_s(run.result), tpot_s(run.result, seen), e2e_s(run.result))]
        return (met, *late, *_amounts(run, met, aim.share))

    def _known(self, point: Point) -> Settings:
        return settings.load(self.root, draw=point.replicate, draws=self.draws, scene=self.scenes[point.scene])

    def _aim(self, scene: str, draw: int, known: Settings) -> Objectives:
        """The sample with its goals: those of the scene's own deployment; simulated once in a process."""
        with self._lock:
            if (scene, draw) not in self._aims:
                own = known.values.deployment.deployment()
                sample = self.samples[scene][draw]
                ready: Prepared = evaluate.prepare(own, sample, accelerator.load(self.root, own.platform), known.values)
                self._aims[scene, draw] = slo.objectives(sample, known.values.goals, partial(evaluate.served, ready))
            return self._aims[scene, draw]


def _amounts(run: Run, met: float, share: float) -> Row:
    """Power, amounts a request, evidence and reason."""
    evidence = str(weakest([Evidence.SIMULATED, *(run.usage.evidence(r) for r in AMOUNTS)]))
    if met < share:
        return (
            *[None] * (1 + len(AMOUNTS)),
            evidence,
            f"{OVERLOADED}: {met:.1%} of requests meet their goal, wanted {share:.0%}",
        )
    amounts = [run.usage.total(resource) for resource in AMOUNTS]
    reasons = dict.fromkeys(r.reason for r in run.usage if r.resource in AMOUNTS and r.reason)
    return (deployment_query.power_w(run), *amounts, evidence, "; ".join(reasons) or None)


def prepared(root: Path, scenes: Sequence[Scene], requests: Sequence[Requests], draws: int) -> Sweep:
    """A sweep over scenes.

    Args:
        root: The checkout.
        scenes: What is served.
        requests: Of each scene.
        draws: Sets of parameters.

    Raises:
        ParamsError: A scene that does not hold.
    """
    samples = {}
    for scene, trace in zip(scenes, requests, strict=True):
        drawn = [settings.load(root, draw=draw, draws=draws, scene=scene).values for draw in range(draws)]
        hows = [values.capacity.of_fleet(values.deployment.replicas) for values in drawn]
        samples[scene.name] = tuple(
            load_samples.sample(trace, how.requests, np.random.default_rng([how.seed, 1])) for how in hows
        )
    return Sweep(root=root, draws=draws, scenes={s.name: s for s in scenes}, samples=samples)


def points(sweep: Sweep, platforms: Sequence[str], precisions: Sequence[str], rates: Sequence[float]) -> list[Point]:
    """Every combination, in order.

    Raises:
        UnknownNameError: A platform or precision that nobody has; operator times for none of the combinations.
    """
    for name in platforms:
        accelerator.load(sweep.root, name)
    if strange := [p for p in precisions if p not in SCHEMES]:
        raise UnknownNameError(f"no precision '{strange[0]}'; there are: {', '.join(SCHEMES)}")
    faults = [_fault(sweep, *one) for one in product(sweep.scenes, platforms, precisions)]
    if all(faults):
        raise UnknownNameError(f"no combination of the sweep has operator times; the first: {faults[0]}")
    every = product(sweep.scenes, platforms, precisions, range(sweep.draws), sorted(set(rates)))
    return [Point(*one) for one in every]


def _fault(sweep: Sweep, scene: str, platform: str, precision: str) -> str:
    """Why there are no operator times; empty where there are."""
    served = settings.load(sweep.root, scene=sweep.scenes[scene]).values.deployment
    try:
        tables_for(served.model, accelerator.load(sweep.root, platform), precision, served.tensor_parallel)
    except UnknownNameError as error:
        return str(error)
    return ""


def rows(sweep: Sweep, asked: Sequence[Point], executor: Executor, kept: Lines, told: Callable[[int], object] = int) -> list[Row]:
    """A row for every point, in order; finished ones are taken from ``kept``, and new ones are added as they come.

    Args:
        sweep: The scenes.
        asked: The points.
        executor: Where they run.
        kept: Rows on disk, each with the digest of its scene.
        told: Hears how many rows are there, after each.
    """
    digests = {name: sweep.digest(name) for name in sweep.scenes}
    there = {(digest, Point(*row[: len(Point._fields)])): tuple(row) for digest, row in kept.there}
    found = {point: there[digests[point.scene], point] for point in asked if (digests[point.scene], point) in there}
    writing = Lock()
    told(len(found))

    def keep(point: Point, row: Row) -> None:
        with writing:
            kept.append([digests[point.scene], list(row)])
            found[point] = row
            told(len(found))

    executor.map(sweep.row, [point for point in asked if point not in found], keep)
    return [found[point] for point in asked]
