"""Retention in MLflow: the newest runs stay. In the checkout's own database the others go for good, with their artifacts.

On a server that others use, this checkout's own runs alone are deleted, the ones that its notes of delivery name. There they
can be restored until the server's owner runs ``mlflow gc``.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from deltastack.errors import TrackingError
from flows import tracking, tracking_page
from tasks import outbox, tidy

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow import MlflowClient
    from mlflow.entities import Run

STORE = "MLflow"
PARENT = "mlflow.parentRunId"
_PAGE = 1000
_AT_ONCE = 500
"""Run ids a command line."""


def runs(root: Path, most: int, *, apply: bool) -> tidy.Kept:
    """Drop all but the newest ``most`` sets of results, each with the runs of its layers.

    Raises:
        TrackingError: The server does not answer, or the database cannot be tidied.
    """
    uri = tracking.address(root)
    own = uri == f"sqlite:///{root / 'mlflow.db'}"
    local = root / "mlflow.db" if own else None
    if local is not None and not local.is_file():
        return tidy.Kept(STORE, 0, 0, 0, 0)
    byte = _size(root, local)
    try:
        client = tracking.client_of(root)
        every = _every(client)
        old = _old(root, every, most, uri, own=own)
        for run in old if apply else ():
            client.delete_run(run)
    except Exception as error:  # MLflow raises whatever its transport raises
        raise TrackingError(f"{tracking_page.shown(uri)} cannot be tidied: {tracking.first_line(root, error)}") from error
    if local is None:
        return tidy.Kept(STORE, len(every), len(old), 0, 0, "deleted runs leave the server's disk with its owner's `mlflow gc`")
    if apply:
        _erase(root, uri, client)
        compact(local)
    return tidy.Kept(STORE, len(every), len(old), byte, byte - _size(root, local) if apply else 0)


def compact(database: Path) -> None:
    """Give the room of deleted rows back to the disk; one that another process holds is compacted the next time."""
    with closing(sqlite3.connect(database, timeout=30)) as there:
        try:
            there.execute("VACUUM")
            there.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError:
            return


def _every(client: MlflowClient) -> list[Run]:
    """All runs that deltastack made, newest first."""
    found = client.get_experiment_by_name(tracking.EXPERIMENT)
    runs: list[Run] = []
    token = None
    while found is not None:
        page = client.search_runs(
            [found.experiment_id],
            f"tags.`{tracking.KEY}` != ''",
            max_results=_PAGE,
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )
        runs += page
        if (token := page.token) is None:
            break
    return runs


def _old(root: Path, every: list[Run], most: int, uri: str, *, own: bool) -> list[str]:
    """Ids of the sets of results that go, with the runs of their layers."""
    heads = [r for r in every if PARENT not in r.data.tags]
    if not own:
        notes = [outbox.read(p) for p in (root / ".run/delivered").glob("*.json")]
        mine = {str(note[tracking_page.shown(uri)]) for note in notes if tracking_page.shown(uri) in note}
        heads = [r for r in heads if r.info.run_id in mine]
    now = outbox.key(root)
    gone = {r.info.run_id for r in heads[most:] if r.data.tags[tracking.KEY] != now}
    return [r.info.run_id for r in every if r.info.run_id in gone or r.data.tags.get(PARENT) in gone]


def _erase(root: Path, uri: str, client: MlflowClient) -> None:
    """Remove deleted runs of the checkout's own database, with their artifacts."""
    from mlflow.entities import ViewType

    found = client.get_experiment_by_name(tracking.EXPERIMENT)
    while found is not None:
        page = client.search_runs([found.experiment_id], run_view_type=ViewType.DELETED_ONLY, max_results=_AT_ONCE)
        if not page:
            return
        words = ["gc", "--backend-store-uri", uri, "--run-ids", ",".join(r.info.run_id for r in page)]
        environment = {**os.environ, **tracking.CAPS, "MLFLOW_TRACKING_URI": uri}
        command = [sys.executable, "-m", "mlflow", *words]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise TrackingError(f"mlflow gc failed: {done.stderr.strip().splitlines()[-1:]}")
        for run in page:  # gc leaves its empty folder
            shutil.rmtree(root / "mlartifacts" / run.info.run_id, ignore_errors=True)


def _size(root: Path, local: Path | None) -> int:
    if local is None:
        return 0
    return sum(tidy.size(p) for p in local.parent.glob(f"{local.name}*")) + tidy.size(root / "mlartifacts")
