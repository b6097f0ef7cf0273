"""The few lines at the end of ``make run``, from summary.json."""

from __future__ import annotations

from typing import Any

from deltastack.report.words import percent, speed_up

MOST_LINES = 12
"""Paths follow; together at most fifteen lines."""


def summary_lines(said: dict[str, Any]) -> list[str]:
    """Headline with basis, the layer table (losses first), targets, workload and evidence.

    Raises:
        KeyError: Not a summary.json of ours.
    """
    lines = [*said["headline"]]
    if not said["canonical"]:
        lines.insert(0, "QUICK RUN: NOT CANONICAL. Run without --quick for numbers that may be quoted.")
    lines += [_layer(row) for row in said["table"]]
    lines += [
        f"target {t['target']}: {t['verdict']} ({t['resource']}, by {100 * t['margin']:+.1f} points)" for t in said["targets"]
    ]
    lines.append(f"workload: {said['workload']}")
    if said["text_only"]:
        lines.append(said["text_only"])
    kept = lines[:MOST_LINES]
    return kept if len(lines) <= MOST_LINES else [*kept[:-1], f"... and {len(lines) - MOST_LINES + 1} more lines in the report"]


def _layer(row: dict[str, Any]) -> str:
    ends = f"[{percent(row['lo'])}, {percent(row['hi'])}]" if row["lo"] is not None else "(no interval)"
    word = "loses" if row["delta"] < 0 else "saves"
    what = f"{word} {row['resource']}, {row['evidence']}"
    return f"  {row['layer']:<16} {percent(row['delta']):>9} {ends}  {speed_up(row['delta'])}  {what}"
