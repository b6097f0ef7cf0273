"""What runs beside us: .run/services.json, written by ``make up``, read by everyone else."""

from __future__ import annotations

import json
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import psutil

from tasks import stage_runner

if TYPE_CHECKING:
    from pathlib import Path


class Service(NamedTuple):
    """One process that ``make up`` started; the start time tells it from a later process of the same id."""

    name: str
    pid: int
    started: float
    url: str | None


def path(root: Path) -> Path:
    """Where the services are written down."""
    return root / ".run" / "services.json"


def load(root: Path) -> dict[str, Service]:
    """The services by name; empty if none was started."""
    try:
        rows = json.loads(path(root).read_text())
        return {r["name"]: Service(**r) for r in rows}
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return {}


def save(root: Path, services: list[Service]) -> None:
    """Write them down."""
    stage_runner.write(path(root), json.dumps([s._asdict() for s in services], indent=2) + "\n")


def alive(service: Service) -> bool:
    """Whether that very process runs."""
    try:
        process = psutil.Process(service.pid)
        return abs(process.create_time() - service.started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def answers(url: str, timeout_s: float = 2.0) -> bool:
    """Whether an HTTP server says it is well at ``url``."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as reply:  # noqa: S310 - our own loopback address
            return bool(reply.status == HTTPStatus.OK)
    except OSError:
        return False


def prefect_api(root: Path) -> str | None:
    """The API of the running Prefect server; None if there is none that answers."""
    server = load(root).get("prefect")
    if server is None or server.url is None or not alive(server):
        return None
    api = f"{server.url}/api"
    said_well = answers(f"{api}/health") and answers(
        f"{api}/admin/version"
    )  # a server may say it is well and answer nothing else
    return api if said_well else None
