"""What hours and days change: a measured gap over the occasions on which one host ran one experiment.

An occasion is one run of an experiment at one time. A gap is told in logs, ln of what the joint run leaves over what the formula
leaves, so that the tolerance is the same for a stack that leaves much and one that leaves little. Its error inside an occasion
has process starts as units where there are ``LEAST_STARTS`` of them. From ``LEAST_OCCASIONS`` quiet occasions on, the verdict is
that of their random effect (``statistics.random_effects``); before, that of this run, if every earlier one agrees with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deltastack import statistics
from deltastack.model import Resource
from deltastack.outcomes import Formula, Verdict
from deltastack.statistics import LEAST_STARTS, Estimate, Interval, nested_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from deltastack.analysis.factorial import Factorial

LEAST_OCCASIONS = 3
"""Two occasions give a spread of one degree of freedom: their interval tells nothing."""
WRONG = 0.1
"""The power to say *fails* is that of a product which is wrong by so much, in logs."""


class LogReading(NamedTuple):
    """One number of one occasion, in logs: of a formula its gap, of the joint run what it leaves."""

    value: float
    error: float
    units: int
    """Process starts, or blocks of runs, behind the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """One earlier quiet run: when it was made, and its numbers by ``OPERATING_POINT.RESOURCE.FORMULA``."""

    measured: str
    readings: Mapping[str, LogReading]


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """How a bench was measured this time, and what it read before."""

    measured: str = ""
    """When, in ISO 8601; empty where it was not recorded."""
    loud: tuple[str, ...] | None = None
    """What else used the machine; empty for a quiet one, None where it was not recorded."""
    starts: int | None = None
    """Process starts, where runs are none: visits to servers that ran already are all of one."""
    earlier: tuple[Occasion, ...] = field(default=())
    """Quiet occasions of the same host and experiment."""

    def process_starts(self, f: Factorial) -> int:
        """How many process starts are behind a factorial that was measured so."""
        return self.starts or f.process_starts


UNRECORDED = Circumstances()


def circumstances(told: Mapping[str, Any], earlier: Iterable[Occasion] = ()) -> Circumstances:
    """Circumstances from what stands beside a measured table (``experiment.occasion.stamp``); empty of older tables.

    >>> circumstances({}).loud, circumstances({"measured": "2026-11-27T10:00:00", "machine": {"loud": []}}).loud
    (None, ())

    Args:
        told: Plain values.
        earlier: Quiet occasions of the same host and experiment.
    """
    loud = told.get("machine", {}).get("loud")
    return Circumstances(
        measured=str(told.get("measured", "")),
        loud=None if loud is None else tuple(map(str, loud)),
        starts=told.get("starts"),
        earlier=tuple(earlier),
    )


class Terms(NamedTuple):
    """What a verdict goes by."""

    tolerance: float
    confidence: float
    at: Circumstances


class Repeated(NamedTuple):
    """A number of a measured bench, in logs, with what process starts and occasions change in it."""

    here: LogReading
    low: float
    high: float
    """The interval that the verdict goes by: of this run, or of all occasions."""
    pooled: statistics.Pooled | None
    """Over all quiet occasions, this one among them; None of a single one, or where this one does not count."""
    occasions: int
    """Quiet ones, with this one if it counts."""
    says_holds: float | None = None
    """How often the word would be said if the formula were right."""
    says_fails: float | None = None
    """How often it would be said if the formula were wrong by ``WRONG``."""

    @property
    def by_occasions(self) -> bool:
        """Whether the verdict goes by all occasions."""
        return self.pooled is not None and self.occasions >= LEAST_OCCASIONS


COUNTS = frozenset({Resource.IO_BYTE, Resource.INSTRUCTIONS})
"""What is counted and not timed: what every block repeats to the last digit no other load has changed."""


def why_indicative(f: Factorial, at: Circumstances) -> str | None:
    """Why a measured factorial may call nothing right or wrong; None for one that may, for exact counts and for simulations."""
    exact = f.resource in COUNTS and not np.nan_to_num(np.ptp(f.amounts, axis=-1)).any()
    return None if f.drawn or exact else statistics.indicative(at.process_starts(f), at.loud)


def quotable(f: Factorial, at: Circumstances) -> Factorial:
    """The same factorial; a measured one is canonical only with starts enough and on a quiet machine."""
    return replace(f, canonical=f.canonical and why_indicative(f, at) is None)


def reading_key(f: Factorial, formula: Formula) -> str:
    """The name of a number among those that are kept."""
    return f"{f.operating_point}.{f.resource}.{formula}"


def reading(f: Factorial, values: NDArray[np.float64]) -> LogReading:
    """The mean of logs by block, (S,), with process starts as units where they are enough to show what they change."""
    mean = mean_over_starts(f, values)
    return LogReading(mean.value, mean.error, mean.freedom + 1)


def mean_over_starts(f: Factorial, values: NDArray[np.float64]) -> nested_interval.Mean:
    """The mean of numbers of blocks, (S,): over process starts if there are enough, whatever a test of their spread says."""
    start = f.nests.get("process starts")
    if start is None or int(start.max()) + 1 < LEAST_STARTS:
        return nested_interval.widest_mean(values, f.nests.values())
    return nested_interval.mean_of([np.array([values[start == i].mean() for i in range(int(start.max()) + 1)])])


def repeated(f: Factorial, formula: Formula, here: LogReading, terms: Terms) -> Repeated:
    """A number beside its earlier occasions; loud ones and those with too few starts do not count."""
    key = reading_key(f, formula)
    every = [o.readings[key] for o in terms.at.earlier if key in o.readings and o.measured != terms.at.measured]
    every += [here] if why_indicative(f, terms.at) is None else []
    pooled = None
    if len(every) > 1:
        pooled = statistics.pool([x.value for x in every], [x.error for x in every], confidence=terms.confidence)
    low, high = _ends(here, terms.confidence)
    if pooled is not None and len(every) >= LEAST_OCCASIONS:
        low, high = pooled.low, pooled.high
    found = Repeated(here, low, high, pooled, len(every))
    return found if formula is Formula.JOINT else _with_power(found, terms)


def judged(f: Factorial, formula: Formula, found: Repeated, terms: Terms) -> tuple[Verdict, str | None]:
    """The verdict on a formula, and why it is no more than that.

    With fewer than ``LEAST_OCCASIONS`` every earlier occasion has to give the same word, or nothing is decided.
    """
    why = why_indicative(f, terms.at)
    if why is not None:
        return Verdict.INDICATIVE, why
    limit = statistics.log_tolerance(terms.tolerance)
    ends = {"estimate": found.here.value, "low": found.low, "high": found.high}
    if found.by_occasions and found.pooled is not None:
        ends["estimate"] = found.pooled.mean
    word = statistics.verdict(Interval(**ends, confidence=terms.confidence, n=found.occasions, method="gap in logs"), limit)
    key = reading_key(f, formula)
    if found.by_occasions or word is Verdict.UNDECIDED:
        return word, None
    others = {
        _word(o.readings[key], limit, terms.confidence)
        for o in terms.at.earlier
        if key in o.readings and o.measured != terms.at.measured
    }
    return (word, None) if others <= {word} else (Verdict.UNDECIDED, "an earlier run did not say the same")


def _word(x: LogReading, limit: float, confidence: float) -> Verdict:
    low, high = _ends(x, confidence)
    n = Interval(estimate=x.value, low=low, high=high, confidence=confidence, n=x.units, method="gap in logs")
    return statistics.verdict(n, limit)


def _ends(x: LogReading, confidence: float) -> tuple[float, float]:
    half = nested_interval.student(x.units - 1, confidence) * x.error
    return x.value - half, x.value + half


def _with_power(found: Repeated, terms: Terms) -> Repeated:
    """How often each word would be said if it were true, with as many units and as much noise as there are here."""
    n, sd = found.here.units, found.here.error * math.sqrt(found.here.units)
    if found.by_occasions and found.pooled is not None:
        n, sd = found.occasions, found.pooled.error * math.sqrt(found.occasions)
    limit = statistics.log_tolerance(terms.tolerance)
    right, wrong = (says(g, limit, sd, n, confidence=terms.confidence) for says, g in _WORDS)
    return found._replace(says_holds=right, says_fails=wrong)


_WORDS = ((statistics.says_holds, 0.0), (statistics.says_fails, WRONG))


def log_of_left(saved: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln(1 - Δ); NaN where a formula promises to leave nothing or less."""
    left = 1 - np.asarray(saved, dtype=np.float64)
    found: NDArray[np.float64] = np.log(np.where(left > 0, left, np.nan))
    return found


def of_left(x: float) -> float:
    """A saving from the log of what it leaves: 1 - e^x."""
    return -math.expm1(x)


def saving_over_occasions(found: Repeated) -> Estimate | None:
    """The joint saving over all quiet occasions; None of a single one."""
    p = found.pooled
    return None if p is None else Estimate(of_left(p.mean), of_left(p.high), of_left(p.low))
