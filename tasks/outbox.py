"""The outbox: results on disk that the tracking server has not taken yet, and who has taken which.

``put`` writes files and nothing else, so the aggregate stage may call it, and the flow again after it: the key
is the content of the results, so one set of results is one entry, whether ``dvc repro`` or a flow made it.

    .run/outbox/KEY/          copies of the report and the tables
    .run/outbox/KEY.json      what to publish; written last, so an entry is whole or absent
    .run/delivered/KEY.json   tracking address -> run id
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deltastack import machine_fingerprint
from tasks import history, provenance, stage_runner

FLOW_RUN = "DELTASTACK_FLOW_RUN"
"""Environment variable: the Prefect flow run that started the stage."""
METRICS = Path("reports/metrics.json")
HEADLINE = Path("reports/headline.json")
"""The dozen numbers of the first screen: DVC's metrics file, and the metrics of a run in MLflow."""
TABLES = ("data/workload.parquet", "data/baseline/{scene}.parquet", "data/total.parquet", "data/joint/{scene}.parquet")
ESTIMATED = "data/delta/estimated/{scene}"
PAGES = ("reports/headline.json", "reports/summary.json", "reports/report.html", "reports/figures/*")
BESIDE = (
    *("data/workload.json", "data/joint/engine.json", "data/quality/**/*.parquet", "data/scenes/*.parquet"),
    *("params/*.yaml", "params/layers/*.yaml", "params/scenes/*.yaml"),
)
"""What a comparison needs beside the tables."""


def key(root: Path) -> str | None:
    """The name of the set of results in the working tree: a hash of metrics and tables; None if there is none."""
    if not (root / METRICS).is_file():
        return None
    digest = hashlib.sha256()
    for path in [root / METRICS, *tables(root)]:
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def tables(root: Path) -> list[Path]:
    """The tables that exist of the layers that are on, in a fixed order."""
    scene = provenance.scene(root)
    names = [*(n.format(scene=scene) for n in TABLES), "data/joint/engine.parquet", "data/joint/testbed.parquet"]
    folders = (ESTIMATED.format(scene=scene), "data/delta/engine", "data/delta/measured")
    names += [f"{folder}/{layer}.parquet" for folder in folders for layer in provenance.layers(root)]
    return [root / n for n in names if (root / n).is_file()]


def put(root: Path) -> str | None:
    """Queue the results in the working tree, or bring their entry up to date.

    Returns:
        Their key; None if there are no results.
    """
    name = key(root)
    if name is None:
        return None
    with stage_runner.lock(lock_path(root), "another process publishes, waiting"):
        path = _folder(root) / f"{name}.json"
        was = read(path)
        _copy(root, _folder(root) / name)
        content = _entry(root, name, was)
        _save(path, content)
        history.note(root, name, content)
    return name


def pending(root: Path) -> list[Path]:
    """The entries that wait, oldest first."""
    return sorted(_folder(root).glob("*.json"), key=lambda p: (read(p).get("created", ""), p.name))


def done(root: Path, path: Path, uri: str, run_id: str) -> None:
    """Note that ``uri`` has taken the entry at ``path``, and remove it."""
    marker = _delivered(root, path.stem)
    _save(marker, {**read(marker), uri: run_id})
    path.unlink(missing_ok=True)
    shutil.rmtree(path.with_suffix(""), ignore_errors=True)


def delivered(root: Path, name: str | None, uri: str) -> bool:
    """Whether ``uri`` has taken the results called ``name``."""
    return name is not None and uri in read(_delivered(root, name))


def lock_path(root: Path) -> Path:
    """The lock of the outbox."""
    return root / ".run" / "locks" / "outbox.lock"


def read(path: Path) -> dict[str, Any]:
    """The JSON object at ``path``; empty if there is none."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves by dotted name, as DVC and MLflow show them.

    >>> flatten({"gap": {"fleet": {"energy_j": 0.02}}, "canonical": True})
    {'gap.fleet.energy_j': 0.02, 'canonical': True}
    """
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        dotted = f"{prefix}{name}"
        flat.update(flatten(value, f"{dotted}.") if isinstance(value, dict) else {dotted: value})
    return flat


def numbers(flat: dict[str, Any]) -> dict[str, float]:
    """The finite numbers among ``flat``; a null or NaN is nothing to log.

    >>> numbers({"a": 1, "b": None, "c": float("nan"), "d": True, "e": "words"})
    {'a': 1.0}
    """
    found = {n: float(v) for n, v in flat.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    return {n: v for n, v in found.items() if math.isfinite(v)}


def words(flat: dict[str, Any]) -> dict[str, str]:
    """The texts and flags among ``flat``: they become tags.

    >>> words({"verdict": "holds", "canonical": False, "a": 1.0})
    {'verdict': 'holds', 'canonical': 'false'}
    """
    return {n: str(v).lower() if isinstance(v, bool) else v for n, v in flat.items() if isinstance(v, str | bool)}


def _entry(root: Path, name: str, was: dict[str, Any]) -> dict[str, Any]:
    """What to publish. What was noted when the results were made (time, commit, flow run) stays."""
    flat = flatten(json.loads((root / METRICS).read_text()))
    flow_run = os.environ.get(FLOW_RUN)
    now = {
        "git.commit": provenance.commit(root),
        "git.dirty": provenance.dirty(root),
        "params.sha256": provenance.params_hash(root),
        "host.fingerprint": machine_fingerprint.fingerprint(),
        "source": "prefect" if flow_run else "dvc",
        "prefect.flow_run_id": flow_run,
    }
    tags = {**words(flat), **now, **was.get("tags", {}), "dvc.lock.sha256": provenance.lock_hash(root, METRICS)}
    return {
        "key": name,
        "created": was.get("created") or datetime.now(UTC).isoformat(timespec="seconds"),
        "metrics": numbers(flat),
        "headline": numbers(flatten(read(root / HEADLINE))),
        "params": provenance.telling(root),
        "tags": {n: v for n, v in tags.items() if v is not None},
        "layers": provenance.layers(root),
    }


def _copy(root: Path, folder: Path) -> None:
    """Copy report and tables to ``folder``, which is whole or absent."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    pages = [p for pattern in (*PAGES, *BESIDE) for p in sorted(root.glob(pattern)) if p.is_file()]
    for path in [root / METRICS, *tables(root), *pages]:
        target = part / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    part.chmod(0o755)
    part.replace(folder)


def _save(path: Path, content: dict[str, Any]) -> None:
    stage_runner.write(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _folder(root: Path) -> Path:
    return root / ".run" / "outbox"


def _delivered(root: Path, name: str) -> Path:
    return root / ".run" / "delivered" / f"{name}.json"
