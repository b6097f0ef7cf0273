"""Formulas held against the observed joint result: totals, gaps and verdicts.

Every formula is fed from single-layer cells only; ``pairwise`` also from the pairs. Base, singles and joint come from
the same sample, so their errors are paired. Draws of a model give a range around the central draw, and a formula its verdict by
the share of them in which it holds. Blocks of
measurements give a jackknife over blocks, or over the nest that differs (``mean_of``). A single sample gives no interval, and
then no verdict. A verdict on draws is in points; one on measurements in logs, with process starts and occasions (``occasions``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltastack import composition, statistics
from deltastack.analysis import occasions
from deltastack.analysis.occasions import UNRECORDED, Circumstances, Repeated, Terms
from deltastack.contracts import TOTAL
from deltastack.errors import FormulaError
from deltastack.model import MECHANISM, Component, IntervalKind, Resource
from deltastack.outcomes import COMPOSED, OBSERVED, Formula, Verdict
from deltastack.statistics import Estimate, nested_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from deltastack.analysis.factorial import Factorial, Missing

ONE_LAYER = "one layer: nothing to compose"
ONE_SAMPLE = "a single sample has no interval"
NO_LOGARITHM = "some cell spends nothing, and 0 has no logarithm"
NO_MECHANISM = "no mechanism that layers share was measured"
NOTHING_LEFT = "it promises to leave nothing, which has no logarithm"
NOT_RUN = "the planned half of the cells leaves out the pairs that this formula needs"
_NOTHING_PREDICTED = (ONE_LAYER, composition.PAIR_IS_JOINT)
Statistic = Callable[["Factorial"], NDArray[np.float64]]


def lacking(f: Factorial) -> dict[str, str]:
    """Formulas that cannot be formed, each with its reason."""
    pairs = [a | b for a in f.singles for b in f.singles]
    needed = f.totals[[0, *pairs]]
    found = {} if f.shared else {str(Formula.BY_MECHANISM): NO_MECHANISM}
    if np.isnan(needed).any():
        return found | {str(Formula.PAIRWISE): NOT_RUN}
    return found if (needed > 0).all() else found | {str(Formula.PAIRWISE): NO_LOGARITHM}


def values(f: Factorial) -> dict[str, NDArray[np.float64]]:
    """Total saving by formula, (S,) each; without those that are ``lacking``.

    ``weighted`` is the paper's sum: with w_i the share of the resource that layer i acts on and Δ_i its saving inside that
    share, w_i Δ_i is its saving of the whole; so it is the sum of the single savings. See ``overlap``.

    Raises:
        FormulaError: Nothing is spent in the base cell.
    """
    total = f.totals
    base, alone, joint = total[0], total[list(f.singles)], total[f.full]
    deltas = composition.delta(np.broadcast_to(base, alone.shape), alone)
    beta = None if Formula.PAIRWISE in lacking(f) else _pair_table(f)
    return {
        "independent": composition.independent(deltas),
        "weighted": composition.additive(deltas),
        "by_component": 1 - left_by_component(f).sum(axis=0) / base,
        **({"pairwise": composition.pairwise(deltas, beta)} if beta is not None else {}),
        **({"by_mechanism": by_mechanism(f)} if f.shared else {}),
        "joint": composition.delta(base, joint),
    }


def by_mechanism(f: Factorial) -> NDArray[np.float64]:
    """The product with shared mechanisms counted once, (S,); the product itself where no two layers share one.

    Raises:
        FormulaError: Nothing is spent in the base cell, or a cell spends nothing.
    """
    total = f.totals
    deltas = composition.delta(np.broadcast_to(total[0], (len(f.singles), total.shape[1])), total[list(f.singles)])
    if not f.shared:
        return composition.independent(deltas)
    apart = np.stack([composition.delta(total[0], m.amounts) for m in f.shared])
    return composition.by_mechanism(deltas, apart, [[layer in m.of for m in f.shared] for layer in f.layers])


def left_by_component(f: Factorial) -> NDArray[np.float64]:
    """Amounts that ``by_component`` predicts to be left, (C, S); idle of a fixed fleet is derived, not predicted.

    Time and memory are provisioned, so that idle is their rest; energy, money and carbon of idle follow its time.

    Raises:
        FormulaError: Nothing is spent in the base cell.
    """
    base, alone, idle = f.amounts[0], f.amounts[list(f.singles)], f.derived
    if idle is None:
        return composition.amounts_by_component(base, alone)
    outside = [c for c, name in enumerate(f.components) if name is Component.STORAGE]
    if f.time is None or f.resource is Resource.MEMORY_BYTE_S:
        return composition.with_rest(base, alone, idle, outside)
    at = f.time.derived
    seconds = left_by_component(f.time)[at], f.time.amounts[:, at]
    return composition.with_rate(base, alone, idle, (seconds[1][0], seconds[1][list(f.singles)], seconds[0]))


def _pair_table(f: Factorial) -> NDArray[np.float64]:
    """β_ij, (k, k, S), from the base, the singles and the pairs alone."""
    logs = np.log(f.totals[[[a | b for b in f.singles] for a in f.singles]])
    alone = np.log(f.totals[list(f.singles)])
    found: NDArray[np.float64] = logs - (alone[:, None] + alone[None]) + np.log(f.totals[0])
    found[np.arange(len(alone)), np.arange(len(alone))] = 0.0
    return found


def overlap(f: Factorial, threshold: float = 1e-9) -> float:
    """Sum over layers of the share of the base usage in components that the layer changes; above 1 shares overlap.

    Idle of a fixed fleet is not among them: it follows from the others.
    """
    base = f.amounts[0].mean(axis=-1)
    whole = base.sum()
    acted_on = np.arange(base.size) != (-1 if f.derived is None else f.derived)
    changed = [acted_on & (np.abs(f.amounts[s].mean(axis=-1) - base) > threshold * whole) for s in f.singles]
    return float(sum(base[c].sum() for c in changed) / whole)


def estimate(f: Factorial, of: Statistic, confidence: float) -> Estimate:
    """A statistic of a factorial, (S,) by sample, with its interval; as ``sampled``."""
    return sampled(f, lambda g: {"": of(g)[None]})[""].estimate(0, confidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """One statistic for each of R rows: its central values (R,), and the draws or pseudo-values (R, S) of their intervals."""

    factorial: Factorial
    central: NDArray[np.float64]
    spread: NDArray[np.float64]

    def estimate(self, row: int, confidence: float) -> Estimate:
        """The value of one row with its interval; no interval for a single sample."""
        value = float(self.central[row])
        if self.spread.shape[-1] == 1:
            return Estimate(value, None, None)
        if self.factorial.drawn:
            low, high = statistics.drawn_ends(self.spread[row], confidence=confidence)
            return Estimate(value, low, high, self.spread.shape[-1])
        half = mean_of(self.factorial, self.spread[row], confidence).half_width
        return Estimate(value, value - half, value + half)

    def units(self, row: int) -> int | None:
        """How many blocks, pairs of blocks or process starts the interval rests on; None for draws or a single sample."""
        if self.factorial.drawn or self.spread.shape[-1] == 1:
            return None
        return mean_of(self.factorial, self.spread[row]).freedom + 1


def sampled(f: Factorial, of: Callable[[Factorial], Mapping[str, NDArray[np.float64]]]) -> dict[str, Sampled]:
    """Several statistics of one factorial at once, (R, S) each: ``of`` is asked once for draws, twice for blocks.

    Blocks are averaged before a statistic is taken (a ratio of means, never a mean of ratios); the jackknife leaves out
    one block at a time, all of them at once. Units are those of ``mean_of``.
    """
    n = f.amounts.shape[-1]
    if f.drawn or n == 1:
        return {name: Sampled(factorial=f, central=v[:, 0], spread=v) for name, v in of(f).items()}
    middle = {name: v[:, 0] for name, v in of(f.weighted(np.full((n, 1), 1 / n))).items()}
    without = of(f.weighted((1 - np.eye(n)) / (n - 1)))
    return {
        name: Sampled(factorial=f, central=m, spread=statistics.pseudo_values(m, without[name])) for name, m in middle.items()
    }


def mean_of(f: Factorial, values: NDArray[np.float64], confidence: float = 0.95) -> nested_interval.Mean:
    """The mean of numbers of blocks, (S,), with process starts or pairs of blocks as units where these differ.

    The second block of a pair runs in the reverse order of the first, so that the cells about its middle are neighbours in time
    in both: a disturbance there moves both blocks alike.
    """
    return nested_interval.widest_mean(values, f.nests.values(), confidence=confidence)


class Total(NamedTuple):
    """What one formula says of the whole stack, and how far it is from the joint result."""

    formula: Formula
    saving: Estimate | None
    gap: Estimate | None
    """Formula minus joint, as a fraction; None for the joint result itself."""
    verdict: Verdict | None
    """None for the joint result itself."""
    reason: str | None
    units: int | None = None
    """Blocks, pairs of blocks or process starts behind the gap's interval; None for draws."""
    repeated: Repeated | None = None
    """In logs, over process starts and occasions; None for draws, or where it has no interval."""
    held_in: int | None = None
    """Draws in which the gap lies inside the tolerance; None where nothing is drawn, or there is nothing to compose."""


class CellPrediction(NamedTuple):
    """One formula in one cell with two or more layers, and the joint result there; fractions."""

    layers: tuple[str, ...]
    formula: Formula
    predicted: float
    observed: float


class ErrorOverCells(NamedTuple):
    """How wrong one formula is over the cells of one factorial."""

    formula: Formula
    root_mean_square: Estimate
    cells: int
    worst: tuple[str, ...]
    """The layers of the cell with the largest gap."""
    worst_gap: Estimate


class Held(NamedTuple):
    """Every formula held against the joint result: of the whole stack, and of every cell with two or more layers."""

    totals: Mapping[Formula, Total]
    cells: tuple[CellPrediction, ...]
    errors: tuple[ErrorOverCells, ...]


def held(f: Factorial, *, tolerance: float, confidence: float, at: Circumstances = UNRECORDED) -> Held:
    """All formulas of one factorial, each asked once for draws and twice for blocks (all blocks, one left out).

    Args:
        f: The factorial.
        tolerance: The largest gap at which a formula holds, as a fraction.
        confidence: Of every interval.
        at: How it was measured, and what was read on earlier occasions.
    """
    terms = Terms(tolerance, confidence, at)
    places = several(f) or [f.full]
    missing = lacking(f)
    try:
        found = sampled(f, lambda g: _of_cells(g, places))
    except FormulaError as error:
        return Held(
            {n: Total(n, None, None, None if n is Formula.JOINT else Verdict.UNDECIDED, str(error)) for n in Formula}, (), ()
        )
    whole = places.index(f.full) if f.full in places else None
    named = [n for n in COMPOSED if n not in missing]
    totals = {n: _total(f, found, n, whole, missing.get(n), terms) for n in Formula}
    if not several(f):
        return Held(totals, (), ())
    observed = found[Formula.JOINT].central
    cells = tuple(
        CellPrediction(f.cell(places[i]), n, float(found[n].central[i]), float(observed[i]))
        for i in range(len(places))
        for n in named
        if i in _predicted(n, places)
    )
    errors = tuple(_error(f, found, n, places, confidence) for n in named if _predicted(n, places))
    return Held(totals, cells, errors)


def several(f: Factorial) -> list[int]:
    """Places of the cells with two or more layers that were run."""
    return [m for m in f.ran if m.bit_count() > 1]


def _predicted(name: str, places: Sequence[int]) -> list[int]:
    """Rows of the cells that a formula predicts: ``pairwise`` is fed with the pairs, so it predicts three layers and more."""
    least = 3 if name == Formula.PAIRWISE else 2
    return [i for i, m in enumerate(places) if m.bit_count() >= least]


def _of_cells(f: Factorial, places: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """Savings, gaps and root mean squares of the gaps by formula, one row a cell."""
    said = {n: v.reshape(len(places), -1) for n, v in values(f.stacked(places)).items()}
    if f.shared:
        said[Formula.BY_MECHANISM] = np.stack([by_mechanism(f.within(m)) for m in places])
    gaps = {n: composition.gap(v, said[Formula.JOINT]) for n, v in said.items() if n != Formula.JOINT}
    rows = {n: rows for n in gaps if (rows := _predicted(n, places))}
    roots = {_root(n): np.sqrt((gaps[n][at] ** 2).mean(axis=0, keepdims=True)) for n, at in rows.items()}
    return {**said, **{_gap(n): g for n, g in gaps.items()}, **roots, **({} if f.drawn else _logs(said))}


def _logs(said: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Gaps in logs, above 0 where a formula promises too much; of the joint run what it leaves."""
    joint = occasions.log_of_left(said[Formula.JOINT])
    return {_log(n): joint if n == Formula.JOINT else joint - occasions.log_of_left(v) for n, v in said.items()}


def _log(name: str) -> str:
    return f"log of {name}"


def _gap(name: str) -> str:
    return f"gap of {name}"


def _root(name: str) -> str:
    return f"root mean square of {name}"


def _error(f: Factorial, found: Mapping[str, Sampled], name: Formula, places: Sequence[int], confidence: float) -> ErrorOverCells:
    gaps, rows = found[_gap(name)], _predicted(name, places)
    worst = max(rows, key=lambda i: abs(gaps.central[i]))
    root = found[_root(name)].estimate(0, confidence)
    return ErrorOverCells(name, root, len(rows), f.cell(places[worst]), gaps.estimate(worst, confidence))


def _total(  # noqa: PLR0913, PLR0917 - one argument a part of the total
    f: Factorial, found: Mapping[str, Sampled], name: Formula, row: int | None, lacks: str | None, terms: Terms
) -> Total:
    composed = name is not Formula.JOINT
    if lacks or row is None:
        return Total(name, None, None, Verdict.UNDECIDED if composed else None, lacks or NOT_RUN)
    saving = found[name].estimate(row, terms.confidence)
    repeated = _repeated(f, found, name, row, terms)
    if not composed:
        return Total(name, saving, None, None, ONE_SAMPLE if saving.low is None else None, repeated=repeated)
    gaps = found[_gap(name)]
    gap = gaps.estimate(row, terms.confidence)
    verdict, why = _verdict(f, name, gap, repeated, terms)
    reason = "; ".join(filter(None, (why, _source(f) if name is Formula.BY_MECHANISM else None))) or None
    told = Total(name, saving, gap, verdict, reason, gaps.units(row), repeated)
    return _by_draws(told, gaps.spread[row], terms) if f.drawn and why not in _NOTHING_PREDICTED else told


def _source(f: Factorial) -> str:
    """Which cells say what is counted once."""
    return "; ".join(f"{' and '.join(m.of)} share {m.name}, counted once by cell {MECHANISM}{m.name}" for m in f.shared)


def _by_draws(total: Total, gaps: NDArray[np.float64], terms: Terms) -> Total:
    """The verdict on draws: by the share of them in which the formula holds; a single draw has none."""
    if gaps.size == 1:
        return total
    verdict, held_in = statistics.verdict_of_draws(gaps, terms.tolerance, terms.confidence)
    reason = "; ".join(filter(None, (f"holds in {held_in} of {gaps.size} draws", total.reason)))
    return total._replace(verdict=verdict, held_in=held_in, reason=reason)


def _repeated(f: Factorial, found: Mapping[str, Sampled], name: Formula, row: int, terms: Terms) -> Repeated | None:
    """A number in logs beside its occasions; None for draws, one sample, or what leaves nothing."""
    logs = None if f.drawn else found[_log(name)].spread[row]
    if logs is None or logs.size == 1 or not np.isfinite(logs).all():
        return None
    here = occasions.reading(f, logs)
    return occasions.repeated(f, name, here, terms)


def _verdict(f: Factorial, name: Formula, gap: Estimate, repeated: Repeated | None, terms: Terms) -> tuple[Verdict, str | None]:
    """The verdict on blocks; draws are still undecided here (``_by_draws``)."""
    if len(f.layers) == 1:
        return Verdict.HOLDS, ONE_LAYER
    if name is Formula.PAIRWISE and len(f.layers) == 2:  # noqa: PLR2004 - one pair
        return Verdict.UNDECIDED, composition.PAIR_IS_JOINT
    shares = overlap(f) if name is Formula.WEIGHTED else 0.0
    reason = f"the layers' shares sum to {shares:.2f}: they overlap" if shares > 1 + 1e-9 else None
    if gap.low is None or gap.high is None:
        return Verdict.UNDECIDED, ONE_SAMPLE
    if f.drawn:
        return Verdict.UNDECIDED, reason
    if repeated is None:
        return Verdict.UNDECIDED, NOTHING_LEFT
    word, told = occasions.judged(f, name, repeated, terms)
    return word, "; ".join(filter(None, (told, reason))) or None


def frame(found: Iterable[tuple[Factorial, Mapping[Formula, Total], str | None]], missing: Iterable[Missing]) -> pd.DataFrame:
    """The table TOTAL.

    Args:
        found: A factorial, its totals, and what is to be said of the whole stack (an SLO that it violates).
        missing: Resources without a total.
    """
    rows: list[tuple[object, ...]] = []
    nothing = (None, None, None)
    for f, totals, caveat in found:
        for t in totals.values():
            reason = "; ".join(filter(None, (t.reason, caveat if t.formula is Formula.JOINT else None))) or None
            word = t.verdict or (OBSERVED if t.saving else Verdict.UNDECIDED)
            kind = IntervalKind.RANGE_OF_DRAWS if f.drawn else IntervalKind.CONFIDENCE
            tail = (word, f.evidence, reason, f.canonical, kind, f.amounts.shape[-1], f.scene)
            numbers = (*(t.saving or nothing)[:3], *(t.gap or nothing)[:3])
            rows.append((f.bench, f.operating_point, f.resource, t.formula, *numbers, *tail))
    for a in missing:
        head = (a.bench, a.operating_point, a.resource)
        unknown = (Verdict.UNDECIDED, a.evidence, a.reason, a.canonical, None, None, a.scene)
        rows += [(*head, n, *nothing, *nothing, *unknown) for n in Formula]
    return TOTAL.frame(rows)
