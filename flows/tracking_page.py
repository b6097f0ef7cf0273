"""Where the last published run opens in MLflow's pages: at the table of its totals. Imports no MLflow."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from flows import service_state
from tasks import stage_runner

PLACE = Path(".run/mlflow-page")
"""The part of the address behind the server's own, of the run that was published last."""
TOTALS = "totals.csv"
"""The artifact that a run's page opens at."""


def shown(uri: str) -> str:
    """``uri`` without what lets one in: no user, password, query or fragment; for messages and receipts.

    >>> shown("https://me:secret@host:5000/a?token=b")
    'https://host:5000/a'
    """
    parts = urlsplit(uri)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")) if parts.netloc else uri


def note(root: Path, experiment: str, run: str) -> None:
    """Write down where a run is that was published."""
    stage_runner.write(root / PLACE, f"/#/experiments/{experiment}/runs/{run}/artifacts/{TOTALS}\n")


def address(root: Path) -> str | None:
    """The whole address; None if nothing was published, or no server shows it."""
    server = _server(root)
    try:
        return None if server is None else f"{server.rstrip('/')}{(root / PLACE).read_text().strip()}"
    except FileNotFoundError:
        return None


def _server(root: Path) -> str | None:
    """The tracking server that the environment names, without what lets one in; else the one that ``make up`` started."""
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    if named.startswith(("http://", "https://")):
        return shown(named)
    there = service_state.load(root).get("mlflow")
    return there.url if there is not None and service_state.alive(there) else None
