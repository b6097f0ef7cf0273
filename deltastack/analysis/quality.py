"""What a cell does to the answers, held against a limit: admissible, not admissible, or nobody looked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from deltastack.analysis.formula_totals import Estimate

if TYPE_CHECKING:
    from deltastack.analysis.results import Results
    from deltastack.model import Bench

LIMITED = "accuracy"
"""Metrics with this beginning are fractions of right answers; a quality limit is held against the worst of them."""


class Reading(NamedTuple):
    """The change of one metric."""

    metric: str
    change: Estimate | None
    reason: str | None
    """Why there is no change."""
    evidence: str


def readings(results: Results, bench: Bench, subject: str) -> list[Reading]:
    """Every metric of a cell (``model.cell_name``) or of a technique alone (``LAYER/TECHNIQUE``)."""
    if results.quality is None:
        return []
    q = results.quality
    rows = q[(q["bench"] == str(bench)) & (q["subject"] == subject)].to_dict("records")
    return [
        Reading(
            str(r["metric"]),
            None if pd.isna(r["change"]) else Estimate(float(r["change"]), _end(r["lo"]), _end(r["hi"])),
            None if pd.isna(r["reason"]) else str(r["reason"]),
            str(r["evidence"]),
        )
        for r in rows
    ]


def worst(results: Results, bench: Bench, subject: str) -> Estimate | None:
    """The accuracy that suffers most (by the low end of its interval); exactly 0 for the base, None where nobody looked."""
    if subject == "base":
        return Estimate(0.0, 0.0, 0.0)
    reading = worst_reading(results, bench, subject)
    return reading.change if reading else None


def worst_reading(results: Results, bench: Bench, subject: str, limit: float | None = None) -> Reading | None:
    """The reading behind ``worst``; one without a change where some accuracy was not looked at, None where there is none.

    With a limit, one that is surely beyond it goes before any whose low end is lower but whose interval reaches back.
    """
    mine = [r for r in readings(results, bench, subject) if r.metric.startswith(LIMITED)]
    beyond = [] if limit is None else [r for r in mine if surely_beyond(r, limit)]
    return min(beyond or mine, key=_least, default=None)


def surely_beyond(reading: Reading, limit: float) -> bool:
    """Whether an accuracy falls by more than the limit allows, all of its interval."""
    change = reading.change
    return change is not None and (change.value if change.high is None else change.high) < limit


def unfit(results: Results, bench: Bench, subject: str) -> str | None:
    """Why a cell, or a technique alone (``LAYER/TECHNIQUE``), is not admissible, as a predicate; None where that is not sure."""
    limit = results.quality_limit
    if limit is None or subject == "base":
        return None
    reading = worst_reading(results, bench, subject, limit)
    if reading is None or reading.change is None or not surely_beyond(reading, limit):
        return None
    change = reading.change
    ends = "" if change.low is None or change.high is None else f" [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
    said = f"{reading.metric.replace('_', ' ')} {100 * change.value:+.1f}{ends} points, limit {100 * limit:+.1f}"
    return f"is not admissible ({said})"


def _least(reading: Reading) -> float:
    change = reading.change
    if change is None:
        return float("-inf")
    return change.value if change.low is None else change.low


def _end(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
