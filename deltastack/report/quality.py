"""What a cell does to the answers, held against a limit: admissible, not admissible, or nobody looked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from deltastack.report.totals import Estimate

if TYPE_CHECKING:
    from deltastack.model import Bench
    from deltastack.report.results import Results

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


def worst_reading(results: Results, bench: Bench, subject: str) -> Reading | None:
    """The reading behind ``worst``; one without a change where some accuracy was not looked at, None where there is none."""
    mine = [r for r in readings(results, bench, subject) if r.metric.startswith(LIMITED)]
    return min(mine, key=_least, default=None)


def _least(reading: Reading) -> float:
    change = reading.change
    if change is None:
        return float("-inf")
    return change.value if change.low is None else change.low


def _end(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
