"""The nouns: benches, components, resources, evidence, usage, cells.

Every other room speaks in these words (docs/decisions/0001). All of them are frozen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator

from deltastack.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class Component(StrEnum):
    """Where resources go."""

    STORAGE = "storage"
    ENCODER = "encoder"
    ATTENTION = "attention"
    FFN = "ffn"
    PREFILL = "prefill"
    """Of a serving engine: from a request's turn until its first token."""
    DECODE = "decode"
    """Of a serving engine: from the first token until the last."""
    OTHER = "other"
    HOST = "host"
    IDLE = "idle"


class Resource(StrEnum):
    """What is spent; the suffix is the unit (SI base units, dollars, grams of CO2 equivalent)."""

    TIME_S = "time_s"
    ENERGY_J = "energy_j"
    MEMORY_BYTE_S = "memory_byte_s"
    IO_BYTE = "io_byte"
    COST_USD = "cost_usd"
    CARBON_G = "carbon_g"
    CPU_S = "cpu_s"
    INSTRUCTIONS = "instructions"


class Evidence(StrEnum):
    """How a number is known, strongest first; a total carries its weakest."""

    MEASURED = "measured"
    SIMULATED = "simulated"
    PUBLISHED = "published"
    ASSUMED = "assumed"


class OperatingPoint(StrEnum):
    """What a saving is a saving of; printed beside every Δ."""

    AT_TRACE = "at_trace"
    """At today's load: per request, at the trace's own arrivals on a fixed number of accelerators."""
    AT_CAPACITY = "at_capacity"
    """At full load: per request, at the goodput, the largest rate at which enough requests meet their own latency goal."""
    PER_SESSION = "per_session"
    """Per session: cold start, requests, idle gaps, shutdown on the testbed; one run of the load on a serving engine."""


class Switches(StrEnum):
    """What says which techniques of a layer a bench has on."""

    ON = "on"
    """``on`` of the technique in params/layers, or what the scene says instead."""
    ON_TESTBED = "on_testbed"
    """``on_testbed`` in params/layers, or ``on`` where that is left out."""
    OWN = "own"
    """A declaration of its own; the bench writes what was on beside its joint table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFacts:
    """All that the other packages ask of a bench.

    Another bench is one folder with its stage, a name in ``Bench`` and its row in ``BENCHES``.
    """

    simulated: bool
    """A sample is a draw of a model's parameters, and factorials are of scenes; else it is a block of runs on this machine."""
    points: tuple[tuple[OperatingPoint, str], ...]
    """What its savings are savings of, each with a short name; the headline's first."""
    time: str
    """What its time is the time of."""
    deltas: str
    """Where below data/delta its layers lie; ``{scene}`` is the scene's name."""
    switches: Switches
    inputs: tuple[str, ...]
    """The files of params that its runs read beside params/stack.yaml."""
    blocks_share_a_start: bool = False
    """Whether one process start runs several blocks, so that runs of a single start do not show what a new start changes."""

    @property
    def sample(self) -> str:
        """What one sample is, in the plural."""
        return "draws" if self.simulated else "blocks"

    @property
    def headline(self) -> OperatingPoint:
        """The operating point that speaks for the bench."""
        return self.points[0][0]


class Bench(StrEnum):
    """Where a layer is observed."""

    FLEET = "fleet"
    TESTBED = "testbed"
    ENGINE = "engine"
    ACCELERATOR = "accelerator"

    @property
    def facts(self) -> BenchFacts:
        """What the other packages ask of it."""
        return BENCHES[self]


BENCHES: Mapping[Bench, BenchFacts] = {
    Bench.FLEET: BenchFacts(
        simulated=True,
        points=((OperatingPoint.AT_CAPACITY, "at capacity"), (OperatingPoint.AT_TRACE, "at its trace")),
        time="accelerator time",
        deltas="estimated/{scene}",
        switches=Switches.ON,
        inputs=("fleet.yaml", "workload.yaml", "layers/*.yaml", "platforms/*.yaml", "scenes/*.yaml"),
    ),
    Bench.TESTBED: BenchFacts(
        simulated=False,
        points=((OperatingPoint.PER_SESSION, "a session"),),
        time="wall time",
        deltas="measured",
        switches=Switches.ON_TESTBED,
        inputs=("testbed.yaml", "layers/*.yaml"),
        blocks_share_a_start=True,
    ),
    Bench.ENGINE: BenchFacts(
        simulated=False,
        points=((OperatingPoint.PER_SESSION, "a session"),),
        time="wall time",
        deltas="engine",
        switches=Switches.OWN,
        inputs=("engine.yaml", "engines/*.yaml"),
    ),
    Bench.ACCELERATOR: BenchFacts(
        simulated=False,
        points=((OperatingPoint.PER_SESSION, "a session"),),
        time="device time",
        deltas="accelerator",
        switches=Switches.OWN,
        inputs=(),
        blocks_share_a_start=True,
    ),
}
"""One row a bench."""


class IntervalKind(StrEnum):
    """What the two ends beside an estimate are."""

    CONFIDENCE = "confidence"
    """They hold the truth in a stated share of all repetitions of the measurement."""
    RANGE_OF_DRAWS = "range_of_draws"
    """They are the range of so many draws of a model's parameters, the central one among them."""


NO_SCENE = "-"
"""The scene of what is measured and not simulated: a bench that is a machine is its own scene."""


def weakest(evidence: Iterable[Evidence]) -> Evidence:
    """The weakest class among ``evidence``: what a total may claim.

    Raises:
        ValueError: Nothing was given.
    """
    order = list(Evidence)
    return max(evidence, key=order.index)


class Reading(NamedTuple):
    """One amount of one resource in one component; ``amount`` is None where nobody could read it."""

    component: Component
    resource: Resource
    amount: float | None
    evidence: Evidence
    reason: str | None = None
    """Why the amount is missing; None when it is there."""
    low: float | None = None
    high: float | None = None
    """The amount at the ends of the model's parameter ranges (not a measurement interval)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Component x resource amounts of one run of one workload.

    A (component, resource) pair that does not apply is absent; one that could not be
    read is present with ``amount=None`` and a reason. Nothing is ever filled with zero.
    """

    readings: tuple[Reading, ...]
    missed: tuple[str, ...] = ()
    """Latency goals that the run missed, in words."""

    def __post_init__(self) -> None:
        """Refuse two readings of one thing, and a missing amount without its reason."""
        keys = [(r.component, r.resource) for r in self.readings]
        if len(set(keys)) != len(keys):
            message = "two readings of one component and resource in one usage"
            raise ValueError(message)
        for r in self.readings:
            if (r.amount is None) != (r.reason is not None):
                message = f"{r.component}/{r.resource}: an amount needs no reason, a missing amount needs one"
                raise ValueError(message)

    def __iter__(self) -> Iterator[Reading]:
        """Iterate over the readings in their stored order."""
        return iter(self.readings)

    def resources(self) -> tuple[Resource, ...]:
        """The resources that have at least one reading, in the enum's order."""
        present = {r.resource for r in self.readings}
        return tuple(x for x in Resource if x in present)

    def total(self, resource: Resource) -> float | None:
        """Sum over components, or None if any of its readings is missing or there is none."""
        amounts = [r.amount for r in self.readings if r.resource == resource]
        if not amounts or any(a is None for a in amounts):
            return None
        return float(sum(a for a in amounts if a is not None))

    def evidence(self, resource: Resource) -> Evidence:
        """The weakest evidence behind ``resource``.

        Raises:
            UnknownNameError: No reading of that resource.
        """
        found = [r.evidence for r in self.readings if r.resource == resource]
        if not found:
            message = f"no reading of {resource} in this usage; it has: {', '.join(self.resources()) or 'none'}"
            raise UnknownNameError(message)
        return weakest(found)


MOST_COUNT = 2**63 - 1
"""The largest whole number that a table holds."""


class Params(BaseModel):
    """Values of one technique or stage, read from params/: frozen, exact keys, finite numbers; ``true`` is no number."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _numbers(cls, values: Any) -> Any:
        """Refuse what pydantic would turn into a number, and whole numbers that nothing can hold."""
        if isinstance(values, dict):
            for name in values.keys() & cls.model_fields.keys():
                for one in _flat(values[name]) if _of_numbers(cls, name) else ():
                    if isinstance(one, bool) or (isinstance(one, int) and abs(one) > MOST_COUNT):
                        found = str(one).lower() if isinstance(one, bool) else f"one of {int(math.log10(abs(one))) + 1} digits"
                        raise ValueError(f"{name}: wanted a number that can be one, found {found}")
        return values


@cache
def _of_numbers(kind: type[BaseModel], field: str) -> bool:
    """Whether a field is made of numbers, words beside them at most."""
    leaves = set(_leaves(kind.model_fields[field].annotation))
    words = {x for x in leaves if isinstance(x, str) or (isinstance(x, type) and issubclass(x, str))}
    return bool(leaves & {int, float}) and leaves - words <= {int, float, type(None), ...}


def _leaves(annotation: Any) -> Iterator[Any]:
    inner = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    if not inner:
        yield annotation
    for one in inner:
        yield from _leaves(one)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _flat(one)
    else:
        yield value


AA_TWIN = "base@aa"
"""The base's A/A twin: the same cell under another name, so that its Δ is noise and nothing else."""


MECHANISM = "mechanism/"
"""Begins the name of a cell in which a mechanism runs alone, every layer off."""


def cell_name(cell: Iterable[str]) -> str:
    """The canonical name of a set of layers: ``base``, or names sorted and joined by ``+``.

    >>> cell_name({"storage", "idle"})
    'idle+storage'
    >>> cell_name(())
    'base'
    """
    return "+".join(sorted(set(cell))) or "base"


def cell_of(name: str) -> frozenset[str]:
    """The set of layers that ``cell_name`` wrote.

    >>> sorted(cell_of("idle+storage")), cell_of("base")
    (['idle', 'storage'], frozenset())
    """
    return frozenset() if name == "base" else frozenset(name.split("+"))
