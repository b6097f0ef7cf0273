"""The source paper's targets, answered by the observed joint result: reached, not reached, or undecided.

"At least 50 % efficiency" has two readings: half as much work again from the same resource, which is a saving of
1 - 1/1.5 = 33.3 %, and half of the resource saved. "At least 20 % cost" is a saving of 20 % of the cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from deltastack.model import Bench, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltastack.analysis.factorial import Factorial
    from deltastack.statistics import Estimate


class Reached(StrEnum):
    """Whether a target is reached."""

    REACHED = "reached"
    NOT_REACHED = "not reached"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A promised saving of some resources."""

    name: str
    words: str
    delta: float
    resources: tuple[Resource, ...]


TARGETS = (
    Target(
        name="efficiency_work",
        words="50 % more work per resource (Δ >= 33.3 %)",
        delta=1 - 1 / 1.5,
        resources=(Resource.TIME_S, Resource.ENERGY_J),
    ),
    Target(
        name="efficiency_half",
        words="half of the resource saved (Δ >= 50 %)",
        delta=0.5,
        resources=(Resource.TIME_S, Resource.ENERGY_J),
    ),
    Target(name="cost", words="20 % of the cost saved (Δ >= 20 %)", delta=0.2, resources=(Resource.COST_USD,)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetAnswer:
    """A target held against the best cell: the one with the fewest layers among those that reach it, else the best."""

    target: Target
    bench: Bench
    resource: Resource
    scene: str
    verdict: Reached
    joint: Estimate
    """The cell with every layer on."""
    margin: float
    """Best saving of any cell minus the target."""
    layers: tuple[str, ...]
    """The fewest layers that reach it; the best cell's where none does."""
    modules: int | None
    """How many modules of 1 % each the joint saving is worth (None for a loss)."""


def answers(f: Factorial, savings: Mapping[int, Estimate]) -> tuple[TargetAnswer, ...]:
    """Every target that names this factorial's resource, held against the savings of its cells by place."""
    return tuple(_answer(f, t, savings) for t in TARGETS if f.resource in t.resources)


def _answer(f: Factorial, target: Target, savings: Mapping[int, Estimate]) -> TargetAnswer:
    found = {f.cell(m): e for m, e in savings.items()}
    cells = list(found)
    sure = [c for c in cells if _surely(found[c], target.delta)]
    best = max(cells, key=lambda c: found[c].value)
    chosen = min(sure, key=lambda c: (len(c), -found[c].value)) if sure else best
    joint = found[cells[-1]]
    possible = any((e.high if e.high is not None else e.value) >= target.delta for e in found.values())
    verdict = Reached.REACHED if sure else Reached.UNDECIDED if possible else Reached.NOT_REACHED
    return TargetAnswer(
        target=target,
        bench=f.bench,
        resource=f.resource,
        scene=f.scene,
        verdict=verdict,
        joint=joint,
        margin=found[best].value - target.delta,
        layers=chosen,
        modules=math.floor(math.log(1 - joint.value) / math.log(0.99)) if 0 < joint.value < 1 else None,
    )


def _surely(e: Estimate, delta: float) -> bool:
    return (e.low if e.low is not None else e.value) >= delta
