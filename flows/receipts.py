"""When the outputs of a stage were computed: receipts kept by what was written, so that a restored one has its age."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flows import dvc_repair
from tasks import stage_runner
from tasks.stage_outcome import Done, Outcome

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> dict[str, Any]:
    """The receipt at ``path``; empty if there is none that can be read."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def complete(root: Path, done: Done, cache: Path) -> Done:
    """``done`` with its outputs, their hashes, and when they were computed."""
    outs = outputs(root, done.stage)
    filed = root / ".run" / "receipts" / "by-output" / f"{_digest(done.stage, outs)}.json"
    if done.outcome is Outcome.RAN:
        content = {**read(stage_runner.receipt(root, done.stage)), "outs": dict(outs)}
        stage_runner.write(filed, json.dumps(content, indent=2) + "\n")
    when = read(filed).get("started") or _cached_at(cache, outs)
    return done._replace(outs=outs, computed_at=when)


def outputs(root: Path, stage: str) -> tuple[tuple[str, str], ...]:
    """Path and hash of each output of ``stage``, as dvc.lock records them; empty if it does not."""
    recorded = (dvc_repair.read_lock(root / "dvc.lock") or {}).get(stage, {})
    return tuple((o["path"], str(o.get("md5", ""))) for o in recorded.get("outs", ()))


def _digest(stage: str, outs: tuple[tuple[str, str], ...]) -> str:
    return hashlib.sha256(json.dumps([stage, outs]).encode()).hexdigest()[:32]


def _cached_at(cache: Path, outs: tuple[tuple[str, str], ...]) -> str | None:
    """When DVC's cache got the first of the outputs: the age where another checkout computed them."""
    for _, digest in outs:
        path = cache / digest[:2] / digest[2:]
        if digest and path.is_file():
            return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return None
