"""Two sets of results side by side: only the parameters that differ, and Δ of Δ with its interval.

    Δ of Δ = saving after - saving before, in the joint cell

Fleet: draws of the model with one number share their quantiles, so differences are taken draw by draw (the first is the
central one). Testbed: two experiments are independent, so half-widths add in squares. A fall is a *regression* only if the
whole interval lies below 0. Amounts of different hosts are never judged against each other: the difference is named instead.

Source: independent errors add in squares (Welch, Biometrika 34, 1947, without its correction of the degrees of freedom, so
intervals of very unequal experiments are a little short).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from deltastack import statistics
from deltastack.analysis.formula_totals import values
from deltastack.analysis.quality import worst
from deltastack.outcomes import COMPOSED, Formula
from deltastack.statistics import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltastack.analysis.analysis import Analysis, FactorialAnalysis
    from deltastack.analysis.factorial import Factorial, Key
    from deltastack.model import Bench, OperatingPoint, Resource
    from deltastack.outcomes import Verdict


OTHER_DRAWS = "one side has {} draws of the model, the other {}: they share the central one alone"


class ChangeVerdict(StrEnum):
    """What can be said of a difference."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "no difference resolved"
    UNDECIDED = "undecided"


class Change(NamedTuple):
    """One total before and after; all fractions."""

    bench: Bench
    operating_point: OperatingPoint
    resource: Resource
    before: Estimate
    after: Estimate
    change: Estimate
    word: ChangeVerdict
    reason: str | None


class VerdictChange(NamedTuple):
    """A formula whose verdict is another one now."""

    where: str
    formula: Formula
    before: Verdict
    after: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One set of results with its name and its flat parameters."""

    name: str
    params: Mapping[str, str]
    analysis: Analysis


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What differs between two sides."""

    names: tuple[str, str]
    params: dict[str, tuple[str | None, str | None]]
    totals: tuple[Change, ...]
    quality: tuple[Change, ...]
    """Change of the worst accuracy of the full stack, by bench."""
    verdict_changes: tuple[VerdictChange, ...]
    one_sided: tuple[str, ...]
    """Totals that only one side has."""

    @property
    def regressions(self) -> tuple[Change, ...]:
        """Savings that fell beyond noise."""
        return tuple(c for c in self.totals if c.word is ChangeVerdict.WORSE)


def compare(before: Side, after: Side) -> Comparison:
    """Everything that differs from ``before`` to ``after``."""
    was, now = (_tables(s.analysis) for s in (before, after))
    both = [k for k in now if k in was]
    return Comparison(
        names=(before.name, after.name),
        params=_differing(before.params, after.params),
        totals=tuple(_change(before, after, was[k], now[k]) for k in both),
        quality=tuple(q for k in _one_a_bench(both) if (q := _quality(before, after, now[k].factorial))),
        verdict_changes=tuple(t for k in both for t in _verdict_changes(k, was[k], now[k])),
        one_sided=tuple(
            f"{'.'.join(k[1:])}: only {s.name}"
            for s, mine, other in ((before, was, now), (after, now, was))
            for k in mine
            if k not in other
        ),
    )


def _tables(analysis: Analysis) -> dict[Key, FactorialAnalysis]:
    return {a.factorial.key: a for a in analysis.factorials if a.joint is not None}


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    names = sorted(set(before) | set(after))
    return {n: (before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)}


def _change(before: Side, after: Side, first: FactorialAnalysis, second: FactorialAnalysis) -> Change:
    was, now = first.factorial, second.factorial
    pair = [a.joint or Estimate(math.nan, None, None) for a in (first, second)]
    reason = _hosts(before, after, now)
    change = _paired(was, now, after.analysis.stack.confidence) if now.drawn else _independent(*pair)
    word = ChangeVerdict.UNDECIDED if reason or change.low is None or change.high is None else _word(change.low, change.high)
    if word is ChangeVerdict.UNDECIDED and reason is None:
        counts = [f.amounts.shape[-1] for f in (was, now)]
        reason = OTHER_DRAWS.format(*counts) if now.drawn and counts[0] != counts[1] else "a single sample has no interval"
    return Change(now.bench, now.operating_point, now.resource, pair[0], pair[1], change, word, reason)


def _paired(was: Factorial, now: Factorial, confidence: float) -> Estimate:
    """Draw by draw; a deterministic simulation of one draw differs by exactly what it differs by.

    Of n draws another one is the k-th than of m draws: sides with different numbers share the central draw alone.
    """
    first, second = (values(f)[Formula.JOINT] for f in (was, now))
    middle = float(second[0] - first[0])
    if first.size != second.size:
        return Estimate(middle, None, None)
    low, high = statistics.drawn_ends(second - first, confidence=confidence)
    return Estimate(middle, low, high, first.size)


def _independent(was: Estimate, now: Estimate) -> Estimate:
    middle = now.value - was.value
    if None in {was.low, was.high, now.low, now.high}:
        return Estimate(middle, None, None)
    low = math.hypot(*(e.value - e.low for e in (was, now) if e.low is not None))
    high = math.hypot(*(e.high - e.value for e in (was, now) if e.high is not None))
    return Estimate(middle, middle - low, middle + high)


def _word(low: float, high: float) -> ChangeVerdict:
    return ChangeVerdict.WORSE if high < 0 else ChangeVerdict.BETTER if low > 0 else ChangeVerdict.SAME


def _hosts(before: Side, after: Side, f: Factorial) -> str | None:
    """Why amounts measured on two hosts are not judged."""
    if f.drawn:
        return None
    was, now = (" / ".join(s.analysis.hosts[f.bench]) for s in (before, after))
    return None if was == now else f"other host: {was} before, {now} after"


def _one_a_bench(keys: list[Key]) -> list[Key]:
    return list({k[1]: k for k in keys}.values())


def _quality(before: Side, after: Side, f: Factorial) -> Change | None:
    cell = "+".join(sorted(f.layers))
    was, now = (worst(s.analysis.quality, f.bench, cell) for s in (before, after))
    if was is None or now is None:
        return None
    change = _independent(was, now)
    word = ChangeVerdict.UNDECIDED if change.low is None or change.high is None else _word(change.low, change.high)
    return Change(f.bench, f.operating_point, f.resource, was, now, change, word, None)


def _verdict_changes(key: Key, was: FactorialAnalysis, now: FactorialAnalysis) -> list[VerdictChange]:
    pairs = ((n, was.totals[n].verdict, now.totals[n].verdict) for n in COMPOSED)
    return [VerdictChange(".".join(key[1:]), n, a, b) for n, a, b in pairs if a is not None and b is not None and a is not b]


def markdown(c: Comparison) -> str:
    """The comparison fit for a pull request: verdict line, what differs, totals, turned verdicts."""
    from deltastack import formatting

    counts = {w: sum(x.word is w for x in c.totals) for w in ChangeVerdict}
    head = ", ".join(f"{n} {w}" for w, n in counts.items() if n) or "nothing to compare"
    lines = [f"### deltastack: {c.names[0]} → {c.names[1]}", "", f"**{head}**", ""]
    if c.params:
        lines += ["| parameter | before | after |", "|---|---|---|"]
        lines += [f"| `{n}` | {_code(a)} | {_code(b)} |" for n, (a, b) in c.params.items()]
    else:
        lines.append("No parameter differs.")
    if c.totals:
        lines += ["", "| total | saving before | saving after | change [points] | |", "|---|---:|---:|---:|---|"]
    order = [ChangeVerdict.WORSE, ChangeVerdict.UNDECIDED, ChangeVerdict.BETTER, ChangeVerdict.SAME]
    for x in sorted(c.totals, key=lambda x: (order.index(x.word), x.change.value)):
        where = f"{x.bench}, {str(x.operating_point).replace('_', ' ')}, {formatting.resource(x.bench, x.resource)}"
        note = f"{x.word} ({x.reason})" if x.reason else str(x.word)
        before, after = (formatting.change(side.value) for side in (x.before, x.after))
        lines.append(f"| {where} | {before} | {after} | {_points(x.change)} | {note} |")
    lines += [f"- quality, {q.bench}: {_points(q.change)} points, {q.word}" for q in c.quality]
    lines += (
        ["", *(f"- `{t.formula}` of {t.where}: {t.before} → {t.after}" for t in c.verdict_changes)] if c.verdict_changes else []
    )
    return "\n".join([*lines, *(f"- {o}" for o in c.one_sided)]) + "\n"


def _points(e: Estimate) -> str:
    from deltastack import formatting

    if e.low is None or e.high is None:
        return f"{100 * e.value:+.2f} (no interval)"
    return f"{100 * e.value:+.2f} {formatting.between(f'{100 * e.low:+.2f}', f'{100 * e.high:+.2f}', e.draws)}"


def _code(value: str | None) -> str:
    return "absent" if value is None else f"`{value}`"
