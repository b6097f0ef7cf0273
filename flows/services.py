"""``python -m flows.services up | down | status``: Prefect server, worker and MLflow on loopback.

``up`` starts what does not run yet, makes the work pool, deploys prefect.yaml and prints three addresses; a second
``up`` changes nothing. ``down`` ends all of it: SIGTERM, a wait, SIGKILL, the worker before its server.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

from deltastack import strict_yaml
from deltastack.errors import DeltastackError, InputError, PreflightError
from flows import service_state, tracking, tracking_page
from flows.server import HOST, HOSTS
from tasks import stage_runner

if TYPE_CHECKING:
    from collections.abc import Mapping

POOL = "deltastack"
PORTS = {"prefect": 4200, "mlflow": 5000}
"""Tried first; another free port is taken if something else listens there."""
PATIENCE_S = 120.0
GRACE_S = 10.0
OFFLINE = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes of 240 MB that only serve its GenAI pages
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT__SERVER_FINAL": "1",  # as `prefect server start` sets it
    "PYTHONUNBUFFERED": "1",
}
PAGES_ASK = "PREFECT_SERVER_UI_API_URL"
"""Where Prefect's pages look for their server: the customary port, unless it is said, wherever the server is."""
WORDS = {"prefect": "Prefect server", "worker": "Prefect worker", "mlflow": "MLflow"}
STOPPING_ORDER = ("worker", "prefect", "mlflow")


class Plan(NamedTuple):
    """How one service starts, and the address that tells it is well."""

    name: str
    words: list[str]
    url: str | None
    health: str | None


_WORKER = Plan("worker", ["prefect", "worker", "start", "--pool", POOL, "--limit", "2"], None, None)


def main() -> int:
    """Do what the one word on the command line says; the exit code."""
    actions = {"up": up, "down": down, "status": status}
    try:
        root = stage_runner.root_from(Path.cwd())
        if len(sys.argv) != 2 or sys.argv[1] not in actions:  # noqa: PLR2004 - the program and its word
            raise InputError(f"usage: python -m flows.services {' | '.join(actions)}")
        with stage_runner.lock(
            root / ".run" / "locks" / "services.lock", "another process starts or stops the services, waiting", _say
        ):
            actions[sys.argv[1]](root)
    except DeltastackError as error:
        sys.stderr.write(f"deltastack: {error}\n")
        return error.exit_code
    return 0


def up(root: Path) -> None:
    """Start what does not run, deploy, print the addresses.

    Raises:
        PreflightError: A service did not come up; the end of its log is in the message.
    """
    tracking.prepare(root)
    Path(_environment(root, {})["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
    servers = [_prefect(root), _mlflow(root)]
    for plan in servers:
        _start(root, plan, {PAGES_ASK: f"{servers[0].url}/api"})
    for plan in servers:
        _await(root, plan)
    api = {"PREFECT_API_URL": f"{servers[0].url}/api"}
    _deploy(root, api)
    _start(root, _WORKER, api)
    _await(root, _WORKER)
    status(root)


def down(root: Path) -> None:
    """Stop everything that ``up`` started, and all it started in turn."""
    running = service_state.load(root)
    for name in STOPPING_ORDER:
        if name in running and service_state.alive(running[name]):
            end(running[name].pid)
            _say(f"{name} stopped")
    service_state.path(root).unlink(missing_ok=True)


def status(root: Path) -> None:
    """Print one line a service."""
    running = service_state.load(root)
    for name, text in WORDS.items():
        service = running.get(name)
        well = service is not None and service_state.alive(service)
        place = (service.url or f"pool {POOL}, process {service.pid}") if service and well else "not running"
        _say(f"{text:15} {place}")
    page = tracking_page.address(root)
    if page is not None:
        _say(f"{'last totals':15} {page}")
    if "worker" in running and service_state.alive(running["worker"]):
        for line in _armed(root / "prefect.yaml"):
            _say(line)


def _prefect(root: Path) -> Plan:
    port = _port(root, "prefect")
    url = f"http://{HOST}:{port}"
    return Plan("prefect", ["flows.server", str(port)], url, f"{url}/api/health")


def _mlflow(root: Path) -> Plan:
    port = _port(root, "mlflow")
    url = f"http://{HOST}:{port}"
    store = ["--backend-store-uri", f"sqlite:///{root / 'mlflow.db'}", "--artifacts-destination", str(root / "mlartifacts")]
    named = ["--allowed-hosts", ",".join(f"{h}:*" for h in HOSTS)]
    words = ["mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1", *named, *store]
    return Plan("mlflow", words, url, f"{url}/health")


def _start(root: Path, plan: Plan, more: Mapping[str, str]) -> None:
    """Start the service unless it runs, and write it down."""
    running = service_state.load(root)
    if plan.name in running and service_state.alive(running[plan.name]):
        return
    log = _log(root, plan)
    log.parent.mkdir(parents=True, exist_ok=True)
    _say(f"starting {WORDS[plan.name]}")
    log.write_bytes(b"")
    with log.open("ab") as out:  # at its end, also after `deltastack tidy` has cut it
        process = subprocess.Popen(
            [sys.executable, "-m", *plan.words],
            cwd=root,
            env=_environment(root, more),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    service = service_state.Service(plan.name, process.pid, psutil.Process(process.pid).create_time(), plan.url)
    service_state.save(root, [*(s for n, s in running.items() if n != plan.name), service])


def _await(root: Path, plan: Plan) -> None:
    """Wait until the service is well (a worker: until it says that it started)."""
    service, log = service_state.load(root)[plan.name], _log(root, plan)
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and service_state.alive(service):
        if service_state.answers(plan.health) if plan.health else "started!" in log.read_text():
            return
        time.sleep(0.2)
    tail = " / ".join(log.read_text().splitlines()[-5:])
    raise PreflightError(f"{plan.name} did not come up within {PATIENCE_S:.0f} s; the end of {log}: {tail}")


def _deploy(root: Path, api: Mapping[str, str]) -> None:
    """Make the work pool and the deployments of prefect.yaml, once a server and version of the file."""
    marker = root / ".run" / "deployed"
    key = f"{service_state.load(root)['prefect'].started} {hashlib.sha256((root / 'prefect.yaml').read_bytes()).hexdigest()}\n"
    if marker.is_file() and marker.read_text() == key:
        return
    _say("deploying prefect.yaml")
    for words in (["work-pool", "create", POOL, "--type", "process", "--overwrite"], ["deploy", "--all"]):
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *words],
            cwd=root,
            env=_environment(root, api),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise PreflightError(f"prefect {' '.join(words)} failed: {(done.stderr or done.stdout).strip()[-400:]}")
    marker.write_text(key)


def _armed(file: Path) -> list[str]:
    """One sentence for each active schedule of prefect.yaml: what runs by itself, and when."""
    deployments = strict_yaml.document(file.read_bytes()).get("deployments") or ()
    rows = [(d["name"], s) for d in deployments for s in d.get("schedules") or () if s.get("active", True)]
    return [f"{name} runs by itself, {_when(schedule)}; `make down` ends that" for name, schedule in rows]


def _when(schedule: Mapping[str, Any]) -> str:
    """When a schedule is due.

    >>> _when({"cron": "15 2 * * *", "timezone": "Etc/UTC"}), _when({"interval": 3.0})
    ('at cron 15 2 * * * Etc/UTC', 'every 3 s')
    """
    if "cron" in schedule:
        return f"at cron {schedule['cron']} {schedule.get('timezone', 'UTC')}"
    return f"every {schedule['interval']:g} s"


def _log(root: Path, plan: Plan) -> Path:
    return root / ".run" / "logs" / f"{plan.name}.log"


def _environment(root: Path, more: Mapping[str, str]) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    code = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    home = os.environ.get("PREFECT_HOME") or str(root / ".run" / "prefect")
    kept = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"}
    return {**kept, **OFFLINE, "PATH": path, "PYTHONPATH": code, "PREFECT_HOME": home, **more}


def _port(root: Path, name: str) -> int:
    """The port of the service that runs, else the customary one if it is free, else any free one."""
    there = service_state.load(root).get(name)
    if there is not None and there.url is not None and service_state.alive(there):
        return int(there.url.rsplit(":", 1)[1])
    for port in (PORTS[name], 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((HOST, port))
                return int(probe.getsockname()[1])
    raise PreflightError(f"no free port for {name} on {HOST}")


def end(pid: int) -> None:
    """End a process and all it started: SIGTERM, a wait, SIGKILL."""
    try:
        leader = psutil.Process(pid)
        family = [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        _, family = psutil.wait_procs(family, timeout=GRACE_S)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
