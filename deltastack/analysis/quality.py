"""Output quality of a cell, held against a limit: admissible, not admissible, undecided, or not measured."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from deltastack.model import Bench
from deltastack.statistics import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterable


class Admissibility(StrEnum):
    """Whether the quality of a cell stays within a limit."""

    ADMISSIBLE = "admissible"
    NOT_ADMISSIBLE = "not admissible"
    UNDECIDED = "undecided"
    NOT_MEASURED = "not measured"


def admissibility(reading: QualityReading | None, limit: float) -> Admissibility:
    """A reading's interval against the least change of accuracy that is allowed."""
    if reading is None or reading.change is None:
        return Admissibility.NOT_MEASURED
    low, high = (reading.change.value if end is None else end for end in reading.change[1:3])
    return Admissibility.ADMISSIBLE if low >= limit else Admissibility.NOT_ADMISSIBLE if high < limit else Admissibility.UNDECIDED


LIMITED = "accuracy"
"""Metrics with this beginning are fractions of right answers; a quality limit is held against the worst of them."""


class QualityReading(NamedTuple):
    """The change of one quality metric in a cell (``model.cell_name``) or of a technique alone (``LAYER/TECHNIQUE``)."""

    bench: Bench
    subject: str
    metric: str
    change: Estimate | None
    reason: str | None
    """Why there is no change."""
    evidence: str


def read(table: pd.DataFrame | None) -> tuple[QualityReading, ...]:
    """The rows of a table (contract QUALITY)."""
    rows = [] if table is None else table.to_dict("records")
    return tuple(
        QualityReading(
            Bench(str(r["bench"])),
            str(r["subject"]),
            str(r["metric"]),
            None if pd.isna(r["change"]) else Estimate(float(r["change"]), _end(r["lo"]), _end(r["hi"])),
            None if pd.isna(r["reason"]) else str(r["reason"]),
            str(r["evidence"]),
        )
        for r in rows
    )


def readings(every: Iterable[QualityReading], bench: Bench, subject: str) -> list[QualityReading]:
    """Every metric of one cell or technique."""
    return [r for r in every if (r.bench, r.subject) == (bench, subject)]


def worst(every: Iterable[QualityReading], bench: Bench, subject: str) -> Estimate | None:
    """The accuracy that suffers most (by the low end of its interval); exactly 0 for the base, None if it was not measured."""
    if subject == "base":
        return Estimate(0.0, 0.0, 0.0)
    reading = worst_reading(every, bench, subject)
    return reading.change if reading else None


def worst_reading(
    every: Iterable[QualityReading], bench: Bench, subject: str, limit: float | None = None
) -> QualityReading | None:
    """The reading behind ``worst``; one without a change if some accuracy was not measured, None if there is no reading.

    With a limit, one that is surely beyond it goes before any whose low end is lower but whose interval reaches back.
    """
    mine = [r for r in readings(every, bench, subject) if r.metric.startswith(LIMITED)]
    beyond = [] if limit is None else [r for r in mine if surely_beyond(r, limit)]
    return min(beyond or mine, key=_least, default=None)


def surely_beyond(reading: QualityReading, limit: float) -> bool:
    """Whether an accuracy falls by more than the limit allows, all of its interval."""
    change = reading.change
    return change is not None and (change.value if change.high is None else change.high) < limit


def unfit(every: Iterable[QualityReading], bench: Bench, subject: str, limit: float | None) -> str | None:
    """Why a cell, or a technique alone (``LAYER/TECHNIQUE``), is not admissible, as a predicate; None where that is not sure."""
    if limit is None or subject == "base":
        return None
    reading = worst_reading(every, bench, subject, limit)
    if reading is None or reading.change is None or not surely_beyond(reading, limit):
        return None
    change = reading.change
    ends = "" if change.low is None or change.high is None else f" [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
    said = f"{reading.metric.replace('_', ' ')} {100 * change.value:+.1f}{ends} points, limit {100 * limit:+.1f}"
    return f"is not admissible ({said})"


def _least(reading: QualityReading) -> float:
    change = reading.change
    if change is None:
        return float("-inf")
    return change.value if change.low is None else change.low


def _end(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
