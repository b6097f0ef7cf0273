"""The few lines at the end of ``make run``, from summary.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deltastack.model import Bench, Resource
from deltastack.report.text import formatting
from deltastack.report.text.amounts import losses_first
from deltastack.report.text.formatting import factor, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_LINES = 12
"""Paths follow; together at most fifteen lines."""


def summary_lines(said: dict[str, Any]) -> list[str]:
    """Headline with basis, the layer table (losses first), targets, workload and evidence.

    Raises:
        KeyError: Not a summary.json of ours.
    """
    lines = [*said["headline"], *said.get("beside", ())]  # absent in results that wait since an older version
    lines += [said["text_only"]] if said["text_only"] else []
    if not said["canonical"]:
        lines.insert(0, "QUICK RUN: NOT CANONICAL. Run without --quick for numbers that may be quoted.")
    lines += layer_lines(said)
    lines.append(f"workload: {said['workload']}")
    kept = lines[:MOST_LINES]
    return kept if len(lines) <= MOST_LINES else [*kept[:-1], f"... and {len(lines) - MOST_LINES + 1} more lines in the report"]


def layer_lines(said: Mapping[str, Any]) -> list[str]:
    """One line a layer, losses first, then one a target."""
    table = said["table"]
    layers = sorted({r["layer"] for r in table}, key=lambda n: min(_place(r) for r in table if r["layer"] == n))
    return [*(_layer(n, [r for r in table if r["layer"] == n]) for n in layers), *_targets(said["targets"])]


def _layer(name: str, rows: list[dict[str, Any]]) -> str:
    """One layer: its saving alone on every bench and basis."""
    return f"  {name:<16} " + "; ".join(_reading(r) for r in rows)


def _place(row: dict[str, Any]) -> tuple[bool, bool, float]:
    """What a row is sorted by: its saving, or that of the worst technique that is off."""
    return losses_first(row["delta"], *(delta for _, delta, *_ in row.get("off", ())))


def _reading(row: dict[str, Any]) -> str:
    """A row in words: saves, loses, not resolved, changes nothing, or off and what it would do.

    Not resolved: the interval holds 0, or two equal cells seem to differ as much.
    """
    late = f", but {row['late']}" if row.get("late") else ""
    where = f"of {_resource(row)} {row['operating_point'].replace('_', ' ')} ({row['evidence']}){late}"
    if row.get("off"):
        return f"off: {formatting.off(row['off'])} {where}"
    word = row.get("word") or formatting.resolved(row["delta"], row["lo"], row["hi"])  # absent as above
    if word == "changes nothing":
        return f"{word} {where}"
    if row.get("amounts"):
        return f"{word}: {row['amounts']} {where}"
    if row["lo"] is None:
        return f"{word} {_size(row['delta'])} (no interval) {where}"
    ends = f"[{percent(row['lo'])}, {percent(row['hi'])}]"
    if word == "not resolved":
        return f"{word}: {percent(row['delta'])} {ends} {where}"
    return f"{word} {_size(row['delta'])} {ends}{factor(row['delta'])} {where}"


def _resource(row: Mapping[str, Any]) -> str:
    """The resource of a row in words; results that wait since an older version name no bench with a target."""
    return formatting.resource(Bench(row.get("bench") or Bench.FLEET), Resource(row["resource"]))


def _size(delta: float) -> str:
    return percent(abs(delta)).lstrip("+")


def _targets(answers: list[dict[str, Any]]) -> list[str]:
    """One line a target."""
    names = dict.fromkeys(t["target"] for t in answers)
    benches = dict.fromkeys(t.get("bench", "") for t in answers)
    return [f"target {n}: " + "; ".join(filter(None, (_answers(answers, n, b) for b in benches))) for n in names]


def _but(answer: Mapping[str, Any]) -> str:
    """That the cell which reaches a target does too much to the answers; absent in results that wait since an older version."""
    return f", but {' + '.join(answer['layers'])} {answer['unfit']}" if answer.get("unfit") else ""


def _answers(answers: list[dict[str, Any]], name: str, bench: str) -> str:
    """One target on one bench."""
    mine = [t for t in answers if (t["target"], t.get("bench", "")) == (name, bench)]
    told = ", ".join(f"{_resource(t)} {t['verdict']} ({formatting.points(t['margin'])}){_but(t)}" for t in mine)
    return f"{bench} {told}".strip() if told else ""
