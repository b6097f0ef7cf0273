"""The fewest layers that reach a saving within limits; else the best there is, and what would have to improve by how much.

A cell *reaches* a target if the low end of its interval does, *may* if only the high end does. A limit is the least that is
allowed: of a resource's saving (a loss is negative) or of the change of quality. A cell that violates the SLOs reaches
nothing. What a missed target needs: a further layer would have to save x of what the best cell still spends,

    x = 1 - (1 - target) / (1 - best)

or, of component c with share s_c of that, x / s_c; above 1 even all of it is too little.

Source: this project; x is the product formula solved for one more layer, x / s_c is G. Amdahl, AFIPS 1967.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from deltastack.analysis import quality
from deltastack.errors import EvidenceError, ParamsError
from deltastack.model import cell_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deltastack.analysis.analysis import Analysis, FactorialAnalysis
    from deltastack.analysis.factorial import Factorial
    from deltastack.model import Bench, OperatingPoint, Resource
    from deltastack.statistics import Estimate


class Outcome(StrEnum):
    """Result of a search."""

    FOUND = "found"
    IMPOSSIBLE = "impossible"
    QUALITY_LIMIT = "only outside the quality limit"
    UNDECIDED = "undecided"


class Satisfaction(StrEnum):
    """How an estimate compares with a required minimum."""

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is asked: least savings of resources, limits on others, a limit on quality; all fractions."""

    targets: Mapping[Resource, float]
    limits: Mapping[Resource, float]
    quality: float | None = None

    def __post_init__(self) -> None:
        """Refuse a goal without a target, or with one that is out of range.

        Raises:
            ParamsError: No target; a target outside 0..1; a limit of 1 or more.
        """
        if not self.targets:
            raise ParamsError("nothing to solve for: wanted at least one target, such as energy=0.333")
        for name, value in self.targets.items():
            if not 0 < value < 1:
                raise ParamsError(f"target {name}={value:g}: wanted a saving between 0 and 1; write 33.3 % as 0.333")
        for name, value in self.limits.items():
            if not value < 1:
                raise ParamsError(f"limit {name}={value:g}: wanted the least saving allowed, below 1; write -5 % as -0.05")
        if self.quality is not None and not -1 <= self.quality <= 1:
            raise ParamsError(f"limit quality={self.quality:g}: wanted the least change allowed, a fraction; one point is -0.01")


class Candidate(NamedTuple):
    """One cell held against a goal."""

    layers: tuple[str, ...]
    savings: dict[Resource, Estimate]
    quality: Estimate | None
    targets: Satisfaction
    limits: Satisfaction
    admissible: Satisfaction
    """Quality."""
    slo_violation: str | None = None

    @property
    def feasible(self) -> Satisfaction:
        """The weakest of the three; no for a cell that violates an SLO, whatever it saves."""
        if self.slo_violation:
            return Satisfaction.NO
        return min(
            (self.targets, self.limits, self.admissible), key=[Satisfaction.NO, Satisfaction.MAYBE, Satisfaction.YES].index
        )


class Shortfall(NamedTuple):
    """How much a further layer, or one component, would have to save of what the best cell still spends."""

    resource: Resource
    missing: float
    """Target minus best, a fraction of the base."""
    further: float
    by_component: dict[str, float]
    """Above 1: all of that component is too little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The outcome, the cell it speaks of, and, where none was found, what is missing."""

    bench: Bench
    operating_point: OperatingPoint
    outcome: Outcome
    cell: Candidate | None
    """The cheapest admissible cell; the best one where there is none."""
    also: tuple[Candidate, ...]
    """Further cells that do, fewest layers first."""
    shortfalls: tuple[Shortfall, ...]


def solve(analysis: Analysis, goal: Goal, bench: Bench, operating_point: OperatingPoint) -> Answer:
    """Every cell of a bench held against a goal.

    Raises:
        EvidenceError: A resource that was not run there.
    """
    tables = {r: _table(analysis, bench, operating_point, r) for r in {**goal.targets, **goal.limits}}
    first = next(iter(tables.values()))
    cells = [_candidate(analysis, goal, tables, m) for m in first.savings]
    good = sorted((c for c in cells if c.feasible is Satisfaction.YES), key=lambda c: _cost(c, goal))
    if good:
        return Answer(
            bench=bench, operating_point=operating_point, outcome=Outcome.FOUND, cell=good[0], also=tuple(good[1:]), shortfalls=()
        )
    best = _best(cells, goal)
    return Answer(
        bench=bench,
        operating_point=operating_point,
        outcome=_outcome(cells),
        cell=best,
        also=(),
        shortfalls=tuple(
            _shortfall(tables[r].factorial, best, r, t) for r, t in goal.targets.items() if best.savings[r].value < t
        ),
    )


def _outcome(cells: Sequence[Candidate]) -> Outcome:
    """Why no cell is surely good."""
    if any(c.feasible is Satisfaction.MAYBE for c in cells):
        return Outcome.UNDECIDED
    if any(c.targets is not Satisfaction.NO and c.limits is not Satisfaction.NO and not c.slo_violation for c in cells):
        return Outcome.QUALITY_LIMIT
    return Outcome.IMPOSSIBLE


def _best(cells: Sequence[Candidate], goal: Goal) -> Candidate:
    """The cell nearest to the targets: among those within the limits if there is any (the base always is)."""
    allowed = [c for c in cells if Satisfaction.NO not in {c.limits, c.admissible} and not c.slo_violation] or list(cells)
    return max(allowed, key=lambda c: (min(c.savings[r].value - t for r, t in goal.targets.items()), -len(c.layers)))


def _cost(c: Candidate, goal: Goal) -> tuple[int, float]:
    """Fewest layers, then the largest margin over the targets."""
    return len(c.layers), -min(c.savings[r].value - t for r, t in goal.targets.items())


def _candidate(analysis: Analysis, goal: Goal, tables: Mapping[Resource, FactorialAnalysis], m: int) -> Candidate:
    f = next(iter(tables.values())).factorial
    layers = f.cell(m)
    savings = {r: a.savings[m] for r, a in tables.items()}
    change = quality.worst(analysis.quality, f.bench, cell_name(layers))
    return Candidate(
        layers=layers,
        savings=savings,
        quality=change,
        targets=_weakest([_stands(savings[r], t) for r, t in goal.targets.items()]),
        limits=_weakest([_stands(savings[r], t) for r, t in goal.limits.items()]),
        admissible=Satisfaction.YES
        if goal.quality is None
        else Satisfaction.MAYBE
        if change is None
        else _stands(change, goal.quality),
        slo_violation=analysis.slo_violation(f, cell_name(layers)),
    )


def _stands(e: Estimate, least: float) -> Satisfaction:
    low, high = (e.value if end is None else end for end in (e.low, e.high))
    return Satisfaction.YES if low >= least else Satisfaction.MAYBE if high >= least else Satisfaction.NO


def _weakest(found: Sequence[Satisfaction]) -> Satisfaction:
    return min(found, key=[Satisfaction.NO, Satisfaction.MAYBE, Satisfaction.YES].index, default=Satisfaction.YES)


def _shortfall(f: Factorial, best: Candidate, resource: Resource, target: float) -> Shortfall:
    saved = best.savings[resource].value
    further = 1 - (1 - target) / (1 - saved)
    left = f.amounts[f.place_of(best.layers)].mean(axis=-1) if not f.drawn else f.amounts[f.place_of(best.layers), :, 0]
    shares = left / left.sum()
    parts = {str(c): float(further / s) for c, s in zip(f.components, shares, strict=True) if s > 0}
    return Shortfall(resource, target - saved, further, dict(sorted(parts.items(), key=lambda p: p[1])))


def _table(analysis: Analysis, bench: Bench, operating_point: OperatingPoint, resource: Resource) -> FactorialAnalysis:
    found = analysis.of(bench, operating_point, resource)
    if found is None:
        every = [a.factorial for a in analysis.factorials]
        there = sorted({str(f.resource) for f in every if f.bench is bench and f.operating_point is operating_point})
        others = sorted({f"{f.bench} {f.operating_point}" for f in every if f.resource is resource})
        has = f"it has: {', '.join(there) or 'nothing'}; {resource} is there for: {', '.join(others) or 'no bench'}"
        raise EvidenceError(f"no joint run of {resource} on bench {bench}, {operating_point}; {has}")
    return found
