"""Formulas held against the joint truth: totals, gaps and verdicts, one row a bench, basis, resource and formula.

Every formula is fed from single-layer cells only; ``pairwise`` also from the pairs. Base, singles and joint come from
the same sample, so their errors are paired. Draws of a model give quantile intervals around the central draw, blocks
of measurements a jackknife over blocks, or over what blocks lie in (``mean_of``); a single sample gives no interval, and
then no verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltastack import composition, statistics
from deltastack.analysis import slo
from deltastack.contracts import TOTAL
from deltastack.errors import FormulaError
from deltastack.model import cell_name
from deltastack.statistics import Interval, nested_interval

if TYPE_CHECKING:
    import pandas as pd

    from deltastack.analysis.factorial import Absent, Factorial

FORMULAS = ("independent", "weighted", "by_component", "pairwise", "joint")
ONE_LAYER = "one layer: nothing to compose"
ONE_SAMPLE = "a single sample has no interval"
NO_LOGARITHM = "some cell spends nothing, and 0 has no logarithm"
NOT_RUN = "the planned half of the cells leaves out the pairs that this formula needs"
Statistic = Callable[["Factorial"], NDArray[np.float64]]


class Estimate(NamedTuple):
    """A number and its interval; the ends are None where there is a single sample."""

    value: float
    low: float | None
    high: float | None


def lacking(f: Factorial) -> dict[str, str]:
    """Formulas that cannot be formed, each with its reason."""
    pairs = [a | b for a in f.singles for b in f.singles]
    needed = f.totals[[0, *pairs]]
    if np.isnan(needed).any():
        return {"pairwise": NOT_RUN}
    return {} if (needed > 0).all() else {"pairwise": NO_LOGARITHM}


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
    beta = None if lacking(f) else _pair_table(f)
    return {
        "independent": composition.independent(deltas),
        "weighted": composition.additive(deltas),
        "by_component": composition.by_component_amounts(f.amounts[0], f.amounts[list(f.singles)]),
        **({"pairwise": composition.pairwise(deltas, beta)} if beta is not None else {}),
        "joint": composition.delta(base, joint),
    }


def _pair_table(f: Factorial) -> NDArray[np.float64]:
    """β_ij, (k, k, S), from the base, the singles and the pairs alone."""
    logs = np.log(f.totals[[[a | b for b in f.singles] for a in f.singles]])
    alone = np.log(f.totals[list(f.singles)])
    found: NDArray[np.float64] = logs - (alone[:, None] + alone[None]) + np.log(f.totals[0])
    found[np.arange(len(alone)), np.arange(len(alone))] = 0.0
    return found


def overlap(f: Factorial, threshold: float = 1e-9) -> float:
    """Sum over layers of the share of the base usage in components that the layer changes; above 1 shares overlap."""
    base = f.amounts[0].mean(axis=-1)
    whole = base.sum()
    changed = [np.abs(f.amounts[s].mean(axis=-1) - base) > threshold * whole for s in f.singles]
    return float(sum(base[c].sum() for c in changed) / whole)


def estimate(f: Factorial, of: Statistic, confidence: float) -> Estimate:
    """A statistic of a factorial, (S,) by sample, with its interval.

    Blocks are averaged before the statistic is taken (a ratio of means, never a mean of ratios); its jackknife leaves
    out one block at a time, all of them at once. Where process starts, or pairs of blocks, differ beyond what their blocks
    explain, these are the units and not blocks (``mean_of``).
    """
    if f.amounts.shape[-1] == 1:
        return Estimate(float(of(f)[0]), None, None)
    if f.drawn:
        found = of(f)
        return Estimate(float(found[0]), *statistics.drawn_ends(found, confidence=confidence))
    middle, mean = _jackknife(f, of, confidence)
    return Estimate(middle, middle - mean.half_width, middle + mean.half_width)


def gap_units(f: Factorial, name: str) -> int:
    """How many units are behind the interval of a formula's measured gap: blocks, pairs of them, or process starts."""
    _, mean = _jackknife(f, partial(_gap, name=name), confidence=0.95)
    return mean.freedom + 1


def _jackknife(f: Factorial, of: Statistic, confidence: float) -> tuple[float, nested_interval.Mean]:
    """A statistic of the means over blocks, and the mean of its pseudo-values."""
    n = f.amounts.shape[-1]
    whole = f.amounts.sum(axis=-1, keepdims=True)
    middle = float(of(replace(f, amounts=whole / n))[0])
    without = of(replace(f, amounts=(whole - f.amounts) / (n - 1)))
    return middle, mean_of(f, n * middle - (n - 1) * without, confidence)


def mean_of(f: Factorial, values: NDArray[np.float64], confidence: float = 0.95) -> nested_interval.Mean:
    """The mean of numbers of blocks, (S,), with process starts or pairs of blocks as units where these differ.

    The second block of a pair runs in the reverse order of the first, so that the cells about its middle are neighbours in time
    in both: a disturbance there moves both blocks alike. The widest nest that differs is taken (``testbed.nested``).
    """
    groups = [[values[nest == i] for i in range(nest.max() + 1)] for nest in f.nests.values()]
    found = [nested_interval.mean_of(g, confidence=confidence) for g in groups or [[values]]]
    return next((m for m in found if not m.pooled), found[-1])


def totals(
    found: list[Factorial], absent: list[Absent], *, tolerance: float, confidence: float, late: Sequence[slo.Late] = ()
) -> pd.DataFrame:
    """The table TOTAL; the truth of a stack that misses the latency goals says so in its reason."""
    rows: list[tuple[object, ...]] = []
    for f in found:
        rows += _rows(f, tolerance, confidence, slo.said(late, f.bench, f.operating_point, cell_name(f.layers)))
    for a in absent:
        nothing = (None,) * 6
        rows += [
            (a.bench, a.operating_point, a.resource, n, *nothing, "cannot be told", a.evidence, a.reason, a.canonical)
            for n in FORMULAS
        ]
    return TOTAL.frame(rows)


def _rows(f: Factorial, tolerance: float, confidence: float, late: str | None) -> list[tuple[object, ...]]:
    head = (f.bench, f.operating_point, f.resource)
    nothing, missing = (None,) * 6, lacking(f)
    try:
        values(f)
    except FormulaError as error:
        return [(*head, n, *nothing, "cannot be told", f.evidence, str(error), f.canonical) for n in FORMULAS]
    rows: list[tuple[object, ...]] = []
    for name in FORMULAS:
        if name in missing:
            rows.append((*head, name, *nothing, "cannot be told", f.evidence, missing[name], f.canonical))
            continue
        total = estimate(f, partial(_value, name=name), confidence)
        if name == "joint":
            said = "; ".join(filter(None, (ONE_SAMPLE if total.low is None else None, late))) or None
            rows.append((*head, name, *total, None, None, None, "truth", f.evidence, said, f.canonical))
        else:
            gap = estimate(f, partial(_gap, name=name), confidence)
            word, why = _verdict(f, name, gap, tolerance, confidence)
            rows.append((*head, name, *total, *gap, word, f.evidence, why, f.canonical))
    return rows


def _value(f: Factorial, *, name: str) -> NDArray[np.float64]:
    return values(f)[name]


def _gap(f: Factorial, *, name: str) -> NDArray[np.float64]:
    found = values(f)
    return composition.gap(found[name], found["joint"])


def _verdict(f: Factorial, name: str, gap: Estimate, tolerance: float, confidence: float) -> tuple[str, str | None]:
    if len(f.layers) == 1:
        return "holds", ONE_LAYER
    shares = overlap(f)
    reason = f"the layers' shares sum to {shares:.2f}: they overlap" if name == "weighted" and shares > 1 + 1e-9 else None
    if gap.low is None or gap.high is None:
        return "cannot be told", ONE_SAMPLE
    found = Interval(
        estimate=gap.value, low=gap.low, high=gap.high, confidence=confidence, n=f.amounts.shape[-1], method="paired gap"
    )
    return str(statistics.verdict(found, tolerance)), reason
