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
    lines = [*said["headline"], *said.get("beside", ())]  # absent in results that wait since an older version
    if not said["canonical"]:
        lines.insert(0, "QUICK RUN: NOT CANONICAL. Run without --quick for numbers that may be quoted.")
    layers = sorted({r["layer"] for r in said["table"]}, key=lambda n: min(r["delta"] for r in said["table"] if r["layer"] == n))
    lines += [_layer(n, [r for r in said["table"] if r["layer"] == n]) for n in layers]
    lines += _targets(said["targets"])
    lines.append(f"workload: {said['workload']}")
    if said["text_only"]:
        lines.append(said["text_only"])
    kept = lines[:MOST_LINES]
    return kept if len(lines) <= MOST_LINES else [*kept[:-1], f"... and {len(lines) - MOST_LINES + 1} more lines in the report"]


def _layer(name: str, rows: list[dict[str, Any]]) -> str:
    """One layer: its saving alone on every bench and basis."""
    return f"  {name:<16} " + "; ".join(_reading(r) for r in rows)


def _reading(row: dict[str, Any]) -> str:
    ends = f"[{percent(row['lo'])}, {percent(row['hi'])}]" if row["lo"] is not None else "(no interval)"
    word = "loses" if round(row["delta"], 4) < 0 else "saves" if round(row["delta"], 4) > 0 else "changes nothing of"
    amount = f" {percent(abs(row['delta'])).lstrip('+')} {ends} ({speed_up(row['delta'])}) of" if round(row["delta"], 4) else ""
    return f"{word}{amount} {row['resource']} {row['basis'].replace('_', ' ')} ({row['evidence']})"


def _targets(answers: list[dict[str, Any]]) -> list[str]:
    """One line a target."""
    names = dict.fromkeys(t["target"] for t in answers)
    return [
        f"target {n}: "
        + ", ".join(f"{t['resource']} {t['verdict']} ({100 * t['margin']:+.1f})" for t in answers if t["target"] == n)
        for n in names
    ]
