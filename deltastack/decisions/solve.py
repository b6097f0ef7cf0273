"""The fewest layers that reach a saving within limits; else the best there is, and what would have to improve by how much.

A cell *reaches* a target if the low end of its interval does, *may* if only the high end does. A limit is the least that is
allowed: of a resource's saving (a loss is negative) or of the change of quality. A cell that misses the latency goals reaches
nothing. What a missed target needs: a further layer would have to save x of what the best cell still spends,

    x = 1 - (1 - target) / (1 - best)

or, of component c with share s_c of that, x / s_c; above 1 even all of it is too little.

Source: this project; x is the product formula solved for one more layer, x / s_c is G. Amdahl, AFIPS 1967.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from deltastack.analysis import quality
from deltastack.analysis.attribution import saving_of
from deltastack.analysis.formula_totals import Estimate, estimate
from deltastack.errors import EvidenceError, ParamsError
from deltastack.model import cell_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.results import Results
    from deltastack.model import Bench, OperatingPoint, Resource


class Outcome(StrEnum):
    """What can be said of a wish."""

    FOUND = "found"
    IMPOSSIBLE = "impossible"
    QUALITY_LIMIT = "only outside the quality limit"
    UNKNOWN = "cannot be told"


class Satisfaction(StrEnum):
    """Where a number stands against what it must be at least."""

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
        """Refuse a wish for nothing, or for more than everything.

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
    """One cell held against a wish."""

    layers: tuple[str, ...]
    savings: dict[Resource, Estimate]
    quality: Estimate | None
    targets: Satisfaction
    limits: Satisfaction
    admissible: Satisfaction
    """Quality."""
    late: str | None = None
    """Which latency goals it misses."""

    @property
    def ends(self) -> Satisfaction:
        """The weakest of the three; no for a cell that serves late, whatever it saves."""
        if self.late:
            return Satisfaction.NO
        return min(
            (self.targets, self.limits, self.admissible), key=[Satisfaction.NO, Satisfaction.MAYBE, Satisfaction.YES].index
        )


class Need(NamedTuple):
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
    needs: tuple[Need, ...]


def solve(results: Results, wish: Goal, bench: Bench, operating_point: OperatingPoint) -> Answer:
    """Every cell of a bench held against a wish.

    Raises:
        EvidenceError: A resource that was not run there.
    """
    tables = {r: _table(results, bench, operating_point, r) for r in {**wish.targets, **wish.limits}}
    first = next(iter(tables.values()))
    confidence = results.stack.confidence
    cells = [_candidate(results, wish, tables, m, confidence) for m in first.ran]
    good = sorted((c for c in cells if c.ends is Satisfaction.YES), key=lambda c: _cost(c, wish))
    if good:
        return Answer(
            bench=bench, operating_point=operating_point, outcome=Outcome.FOUND, cell=good[0], also=tuple(good[1:]), needs=()
        )
    best = _best(cells, wish)
    return Answer(
        bench=bench,
        operating_point=operating_point,
        outcome=_outcome(cells),
        cell=best,
        also=(),
        needs=tuple(_need(tables[r], best, r, t) for r, t in wish.targets.items() if best.savings[r].value < t),
    )


def _outcome(cells: Sequence[Candidate]) -> Outcome:
    """Why no cell is surely good."""
    if any(c.ends is Satisfaction.MAYBE for c in cells):
        return Outcome.UNKNOWN
    if any(c.targets is not Satisfaction.NO and c.limits is not Satisfaction.NO and not c.late for c in cells):
        return Outcome.QUALITY_LIMIT
    return Outcome.IMPOSSIBLE


def _best(cells: Sequence[Candidate], wish: Goal) -> Candidate:
    """The cell nearest to the targets: among those within the limits if there is any (the base always is)."""
    allowed = [c for c in cells if Satisfaction.NO not in {c.limits, c.admissible} and not c.late] or list(cells)
    return max(allowed, key=lambda c: (min(c.savings[r].value - t for r, t in wish.targets.items()), -len(c.layers)))


def _cost(c: Candidate, wish: Goal) -> tuple[int, float]:
    """Fewest layers, then the largest margin over the targets."""
    return len(c.layers), -min(c.savings[r].value - t for r, t in wish.targets.items())


def _candidate(results: Results, wish: Goal, tables: Mapping[Resource, Factorial], m: int, confidence: float) -> Candidate:
    any_table = next(iter(tables.values()))
    layers = any_table.cell(m)
    savings = {r: estimate(f, partial(saving_of, m=m), confidence) for r, f in tables.items()}
    change = quality.worst(results, any_table.bench, cell_name(layers))
    return Candidate(
        layers=layers,
        savings=savings,
        quality=change,
        targets=_weakest([_stands(savings[r], t) for r, t in wish.targets.items()]),
        limits=_weakest([_stands(savings[r], t) for r, t in wish.limits.items()]),
        admissible=Satisfaction.YES
        if wish.quality is None
        else Satisfaction.MAYBE
        if change is None
        else _stands(change, wish.quality),
        late=results.misses(any_table, cell_name(layers)),
    )


def _stands(e: Estimate, least: float) -> Satisfaction:
    low, high = (e.value if end is None else end for end in (e.low, e.high))
    return Satisfaction.YES if low >= least else Satisfaction.MAYBE if high >= least else Satisfaction.NO


def _weakest(found: Sequence[Satisfaction]) -> Satisfaction:
    return min(found, key=[Satisfaction.NO, Satisfaction.MAYBE, Satisfaction.YES].index, default=Satisfaction.YES)


def _need(f: Factorial, best: Candidate, resource: Resource, target: float) -> Need:
    saved = best.savings[resource].value
    further = 1 - (1 - target) / (1 - saved)
    left = f.amounts[f.place_of(best.layers)].mean(axis=-1) if not f.drawn else f.amounts[f.place_of(best.layers), :, 0]
    shares = left / left.sum()
    parts = {str(c): float(further / s) for c, s in zip(f.components, shares, strict=True) if s > 0}
    return Need(resource, target - saved, further, dict(sorted(parts.items(), key=lambda p: p[1])))


def _table(results: Results, bench: Bench, operating_point: OperatingPoint, resource: Resource) -> Factorial:
    found = results.of(bench, operating_point, resource)
    if found is None:
        there = sorted({str(f.resource) for f in results.found if f.bench is bench and f.operating_point is operating_point})
        others = sorted({f"{f.bench} {f.operating_point}" for f in results.found if f.resource is resource})
        has = f"it has: {', '.join(there) or 'nothing'}; {resource} is there for: {', '.join(others) or 'no bench'}"
        raise EvidenceError(f"no joint run of {resource} on bench {bench}, {operating_point}; {has}")
    return found
