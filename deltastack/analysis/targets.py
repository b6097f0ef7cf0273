"""The source paper's targets, answered by the joint cell: reached, not reached, undecided, or indicative.

The best of many cells looks better than it is. So a set of layers that is named for its saving is held by an interval of

    confidence' = 1 - (1 - confidence) / m,     m the sets of layers among which it is the best (Bonferroni)

which covers all m at once with the confidence that is asked. The range of a model's draws cannot be wider than all its draws.

"At least 50 % efficiency" has two readings: half as much work again from the same resource, which is a saving of
1 - 1/1.5 = 33.3 %, and half of the resource saved. "At least 20 % cost" is a saving of 20 % of the cost.

Source: O. J. Dunn, Journal of the American Statistical Association 56, 1961 (many means).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

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
    INDICATIVE = "indicative"
    """Measured with too few starts or on a loud machine."""


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


class BestSet(NamedTuple):
    """The fewest layers that reach a target; where none does, the set that saves most."""

    layers: tuple[str, ...]
    saving: Estimate
    """With an interval that holds for all sets at once."""
    verdict: Reached
    among: int
    """Sets of layers that it was chosen from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetAnswer:
    """A target held against the cell with every layer on, and beside it the best set."""

    target: Target
    bench: Bench
    resource: Resource
    scene: str
    verdict: Reached
    """Of the joint cell."""
    joint: Estimate
    margin: float
    """Joint saving minus the target."""
    best: BestSet
    modules: int | None
    """How many modules of 1 % each the joint saving is worth (None for a loss)."""


def answers(f: Factorial, joint: Estimate, sets: Mapping[int, Estimate], *, indicative: bool = False) -> tuple[TargetAnswer, ...]:
    """Every target that names this factorial's resource.

    Args:
        f: The factorial.
        joint: The saving of all layers together.
        sets: The saving of every set of layers by place, with intervals of the ``shared_confidence`` of so many.
        indicative: Whether the measurement may call nothing reached or missed.
    """
    return tuple(_answer(f, t, joint, sets, indicative=indicative) for t in TARGETS if f.resource in t.resources)


def named(f: Factorial) -> bool:
    """Whether a target names this factorial's resource."""
    return any(f.resource in t.resources for t in TARGETS)


def shared_confidence(confidence: float, sets: int) -> float:
    """The confidence of one interval of ``sets`` that hold all at once.

    >>> round(shared_confidence(0.95, 5), 6)
    0.99
    """
    return 1 - (1 - confidence) / max(sets, 1)


def _answer(f: Factorial, target: Target, joint: Estimate, sets: Mapping[int, Estimate], *, indicative: bool) -> TargetAnswer:
    found = {f.cell(m): e for m, e in sets.items() if m} or {f.cell(f.full): joint}
    sure = [c for c in found if _surely(found[c], target.delta)]
    chosen = min(sure, key=lambda c: (len(c), -found[c].value)) if sure else max(found, key=lambda c: found[c].value)

    def word(e: Estimate) -> Reached:
        return Reached.INDICATIVE if indicative else held(e, target.delta)

    return TargetAnswer(
        target=target,
        bench=f.bench,
        resource=f.resource,
        scene=f.scene,
        verdict=word(joint),
        joint=joint,
        margin=joint.value - target.delta,
        best=BestSet(chosen, found[chosen], word(found[chosen]), len(found)),
        modules=math.floor(math.log(1 - joint.value) / math.log(0.99)) if 0 < joint.value < 1 else None,
    )


def held(e: Estimate, delta: float) -> Reached:
    """Reached if the low end is, not reached if even the high end is not.

    >>> from deltastack.statistics import Estimate
    >>> [str(held(Estimate(0.4, *ends), 0.35)) for ends in ((0.36, 0.5), (0.3, 0.5))], str(held(Estimate(0.1, 0.0, 0.2), 0.35))
    (['reached', 'undecided'], 'not reached')
    """
    if _surely(e, delta):
        return Reached.REACHED
    return Reached.UNDECIDED if (e.high if e.high is not None else e.value) >= delta else Reached.NOT_REACHED


def _surely(e: Estimate, delta: float) -> bool:
    return (e.low if e.low is not None else e.value) >= delta
