"""Runs before and after a change as the rows of one layer, and what they say: a saving with its interval, or a loud n = 1."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from deltastack import statistics
from deltastack.contracts import IMPORTED
from deltastack.errors import InputError
from deltastack.formatting import interval
from deltastack.importers.run import QUANTITIES
from deltastack.model import Evidence
from deltastack.statistics import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from deltastack.importers.run import Run

WORK = 0.01
"""Input or output tokens that differ by more make ratios of rates no ratios of work."""
_NONE = "no further repeat on this side"


class Saved(NamedTuple):
    """What one quantity of an imported layer says."""

    layer: str
    tool: str
    quantity: str
    delta: Estimate
    before: int
    after: int
    """Repeats on each side."""
    conditions: str
    source: str

    @property
    def loud(self) -> str | None:
        """The warning of a single measurement."""
        return "n = 1: NO INTERVAL, this may be noise" if self.delta.low is None else None


def table(layer: str, before: Sequence[Run], after: Sequence[Run], *, paired: bool = False) -> pd.DataFrame:
    """The contract IMPORTED: every quantity that both sides have, one row a repeat.

    Args:
        layer: Its name.
        before: Runs without the change.
        after: Runs with it.
        paired: Whether the n-th before and the n-th after ran side by side.

    Raises:
        InputError: Sides of different tools, one result twice, no common quantity, or pairs that do not pair.
    """
    tools = {r.tool for r in (*before, *after)}
    if len(tools) > 1:
        raise InputError(f"before and after are results of different tools ({', '.join(sorted(tools))}): they count differently")
    if paired and len(before) != len(after):
        raise InputError(f"--paired wants one --after for each --before; found {len(before)} and {len(after)}")
    there = [q for q in QUANTITIES if all(any(q in r.amounts for r in side) for side in (before, after))]
    if not there:
        raise InputError("before and after have no quantity in common, so nothing can be compared")
    said = _conditions(before, after)
    source = f"before: {_files(before)}; after: {_files(after)}"
    head, tail = (layer, tools.pop()), (str(Evidence.PUBLISHED),)
    rows = []
    for q in there:
        for n, (was, now) in enumerate(zip_longest(before, after)):
            pair = [None if r is None else r.amounts.get(q) for r in (was, now)]
            reason = None if None not in pair else _NONE if was is None or now is None else f"this run says nothing of {q}"
            rows.append((*head, q, n, *pair, paired, *tail, reason, said, source))
    return IMPORTED.frame(rows)


def refuse_twice(before: Sequence[Run], after: Sequence[Run]) -> None:
    """Refuse one result given twice: on one side it is no repeat, on both it is no change.

    Raises:
        InputError: A result that was given twice; names the files.
    """
    for side in (before, after):
        seen: dict[str, Run] = {}
        for run in side:
            if run.identity in seen:
                raise InputError(
                    f"{run.file} holds the same result as {seen[run.identity].file}: it is no repeat; give each once"
                )
            seen[run.identity] = run
    both = {r.source for r in before} & {r.source for r in after}
    if both:
        raise InputError(f"{min(both)} stands on both sides: nothing changed; give another --after")


def savings(frame: pd.DataFrame, confidence: float) -> list[Saved]:
    """What each quantity of one imported layer says; pairs by their log ratios, sides that share nothing by Welch's t in logs."""
    found = []
    for quantity, rows in frame.groupby("quantity", sort=False):
        head = rows.iloc[0]
        was, now = (rows[c].dropna().to_numpy(dtype=float) for c in ("base", "optimized"))
        found.append(
            Saved(
                layer=str(head["layer"]),
                tool=str(head["tool"]),
                quantity=str(quantity),
                delta=_delta(was, now, paired=bool(head["paired"]), confidence=confidence),
                before=len(was),
                after=len(now),
                conditions=str(head["conditions"]),
                source=str(head["source"]),
            )
        )
    return sorted(found, key=lambda s: QUANTITIES.index(s.quantity))


def row_words(s: Saved) -> str:
    """One line: ``fp8 time_per_output_token_s +54.8 % [+53.0 %, +56.5 %] (3 before, 3 after; vLLM bench)``."""
    loud = f"; {s.loud}" if s.loud else ""
    return f"{s.layer} {s.quantity} {interval(s.delta)} ({s.before} before, {s.after} after; {s.tool}{loud})"


def _delta(was: Any, now: Any, *, paired: bool, confidence: float) -> Estimate:
    if min(len(was), len(now)) < 2:  # noqa: PLR2004 - a single repeat shows no spread
        return Estimate(float(1 - now.mean() / was.mean()), None, None)
    if paired and len(was) == len(now):
        found = statistics.log_ratio(was, now, confidence=confidence)
    else:
        found = statistics.log_ratio_unpaired(was, now, confidence=confidence)
    return Estimate(found.estimate, found.low, found.high)


def _conditions(before: Sequence[Run], after: Sequence[Run]) -> str:
    """The conditions that all runs share, and loudly those in which sides or repeats differ."""
    was, now = before[0].conditions, after[0].conditions
    same = [
        f"{k} {was[k]:g}" if isinstance(was[k], float) else f"{k} {was[k]}"
        for k in was
        if was[k] is not None and was[k] == now.get(k)
    ]
    differ = [f"{k} {_shown(was[k])} before, {_shown(now.get(k))} after" for k in was if _differs(k, was[k], now.get(k))]
    differ += [
        f"{k} {_shown(side[0].conditions[k])} and {_shown(r.conditions.get(k))} {word}"
        for word, side in (("before", before), ("after", after))
        for r in side[1:]
        for k in side[0].conditions
        if _differs(k, side[0].conditions[k], r.conditions.get(k))
    ]
    failed = [
        f"{r.conditions['failed']:g} failed requests in {r.source}" for r in (*before, *after) if r.conditions.get("failed")
    ]
    loud = f"SIDES DIFFER: {'; '.join(differ)}" if differ else ""
    return "; ".join(x for x in (", ".join(same), loud, "; ".join(failed)) if x) or "not given"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _differs(name: str, was: Any, now: Any) -> bool:
    if was is None or now is None or name == "failed":
        return False
    if name.endswith("tokens"):
        return bool(abs(float(now) - float(was)) > WORK * float(was))
    return bool(was != now)


def _files(runs: Sequence[Run]) -> str:
    return ", ".join(dict.fromkeys(r.source for r in runs))
