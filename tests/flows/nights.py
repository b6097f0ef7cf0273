"""Nights of a checkout, one after another, as its own writers leave them: nothing is measured, every record is real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deltastack.contracts.lines import Lines
from flows import dvc_adapter, receipts, tracking
from tasks import outbox, stage_runner
from tasks.stage_outcome import Done, Outcome
from tests.flows.tiny_project import expected, make_project

STACK = "layers: [idle]\ntolerance: 0.02\nconfidence: 0.95\neffort: quick\nruns_kept: {kept}\n"
HOME = Path(__file__).parents[2]
FIRST = datetime(2026, 1, 1, 2, 15, tzinfo=UTC)
SAID = {
    "schema": 4,
    "headline": ["the stack saves"],
    "totals": [],
    "card": [["Layers on", ["idle"]]],
    "canonical": False,
    "table": [],
    "targets": [],
    "workload": "a trace",
    "text_only": "",
}


def make(root: Path, kept: int) -> Path:
    """The tiny graph with params, nothing run yet."""
    make_project(root)
    (root / "params" / "layers").mkdir(parents=True)
    (root / "params" / "stack.yaml").write_text(STACK.format(kept=kept))
    (root / "params" / "layers" / "idle.yaml").write_text("timeout_s: 2.5\n")
    return root


def night(root: Path, day: int) -> None:
    """What the run of that night leaves: tables in DVC's cache, receipts, results with history, a ledger, a run in MLflow."""
    when = FIRST + timedelta(days=day)
    _graph(root, day, when)
    reports = root / "reports"
    reports.mkdir(exist_ok=True)
    metrics = {"delta_total": {"fleet": {"energy_j": {"joint": day / 1000}}}, "layer/idle/delta": {"fleet": {"energy_j": 0.1}}}
    (reports / "metrics.json").write_text(json.dumps(metrics))
    (reports / "summary.json").write_text(json.dumps(SAID))
    (reports / "report.html").write_text(f"<p>night {day}</p>" + "page " * 20_000)
    name = outbox.put(root)
    _dated(root / ".run/history" / f"{name}.json", when)
    tracking.deliver(root, lambda _: None)
    Lines(root / ".run/ledgers" / f"{day:04}.jsonl", str(day)).append({"cell": "base", "amount": 1.0})


def _graph(root: Path, day: int, when: datetime) -> None:
    """Every stage as DVC saves one that ran: its tables, its lock, its record of the run."""
    from dvc.repo import Repo

    (root / "params.yaml").write_text(f"n: {day}\n")
    (root / "data").mkdir(exist_ok=True)
    for name, text in expected(day).items():
        (root / "data" / name).write_text(text)
    with Repo(str(root)) as repo, repo.lock:
        for stage in repo.index.stages:
            stage.save()
            stage.commit()
            repo.stage_cache.save(stage)
            stage.dump(update_pipeline=False)
    cache = dvc_adapter.cache(root)
    for stage in "abcd":
        entry = {"stage": stage, "token": None, "started": when.isoformat(), "seconds": 1.0}
        stage_runner.write(stage_runner.receipt(root, stage), json.dumps(entry))
        receipts.complete(root, Done(stage, Outcome.RAN), cache)


def _dated(path: Path, when: datetime) -> None:
    """Let results be of that night: their writer takes the time of now."""
    path.write_text(json.dumps(json.loads(path.read_text()) | {"created": when.isoformat(timespec="seconds")}))


def prefect(root: Path, first: int, count: int) -> None:
    """What Prefect keeps of so many nights, in a process of its own."""
    environment = {**os.environ, "PREFECT_HOME": str(root / ".run/prefect"), "PYTHONPATH": str(HOME)}
    (root / ".run/prefect").mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "tests.flows.prefect_nights", str(first), str(count)]
    subprocess.run(words, cwd=root, env=environment, check=True)
