"""What measured benches read on earlier occasions: .run/occasions/BENCH-KEY.jsonl, one line each, of one host and experiment.

``note`` adds this occasion once; the newest ``runs_kept`` (params/stack.yaml) stay. A loud one is kept and does not count.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from deltastack.analysis import occasions
from deltastack.analysis.occasions import Circumstances, LogReading, Occasion
from deltastack.contracts.lines import Lines
from deltastack.model import Bench
from deltastack.statistics import indicative
from tasks import outbox

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.analysis.analysis import Analysis

FOLDER = ".run/occasions"
MEASURED = tuple(b for b in Bench if not b.facts.simulated)


def read(root: Path, kept: int) -> dict[Bench, Circumstances]:
    """How each measured bench was measured, and the quiet ones among its last ``kept`` occasions."""
    found = {}
    for bench in MEASURED:
        told = outbox.read(_told(root, bench))
        path, key = _path(root, bench, told)
        lines = Lines.of_another(path, key)[-kept:]
        found[bench] = occasions.circumstances(told, [_occasion(x) for x in lines if indicative(x["starts"], x["loud"]) is None])
    return found


def note(root: Path, analysis: Analysis, kept: int) -> None:
    """Add what was measured now to its history, unless it is there."""
    for bench in MEASURED:
        told = outbox.read(_told(root, bench))
        mine = [a for a in analysis.factorials if a.factorial.bench is bench]
        if not mine or "measured" not in told:
            continue
        path, key = _path(root, bench, told)
        lines = Lines(path, key)
        if any(x["measured"] == told["measured"] for x in lines.there):
            continue
        readings = {
            occasions.reading_key(a.factorial, n): list(t.repeated.here)
            for a in mine
            for n, t in a.totals.items()
            if t.repeated is not None
        }
        starts = told.get("starts") or min(a.factorial.process_starts for a in mine)
        loud = told["machine"]["loud"]
        lines.append(
            {"measured": told["measured"], "host": _host(analysis, bench), "starts": starts, "loud": loud, "log": readings}
        )
        lines.keep(kept)


def _occasion(line: dict[str, Any]) -> Occasion:
    return Occasion(measured=line["measured"], readings={name: LogReading(*x) for name, x in line["log"].items()})


def _host(analysis: Analysis, bench: Bench) -> str:
    return " / ".join(analysis.hosts[bench])


def _told(root: Path, bench: Bench) -> Path:
    return root / "data" / "joint" / f"{bench}.json"


def _path(root: Path, bench: Bench, told: dict[str, Any]) -> tuple[Path, str]:
    """The history's file and key; the experiment's key holds its host."""
    key = hashlib.sha256(f"{bench} {told.get('experiment', 'unknown')}".encode()).hexdigest()[:20]
    return root / FOLDER / f"{bench}-{key}.jsonl", key
