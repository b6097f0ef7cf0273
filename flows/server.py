"""A Prefect server for one run: it lives as long as the run, also if the run is killed.

Prefect's own temporary server outlives a kill -9; this one has the parent-death signal. ``python -m flows.server PORT``
is the server's process, here and for `make up`. It answers only to requests that name this machine: a page of the web whose
name was made to point here could otherwise deploy a flow, which is a command, through the reader's own browser.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deltastack.errors import PreflightError
from flows import service_state
from tasks import stage_runner

if TYPE_CHECKING:
    from starlette.types import ASGIApp

HOST = "127.0.0.1"
HOSTS = (HOST, "localhost")
"""What a request may call this machine."""
PATIENCE_S = 180.0
"""A first start makes the database; on two busy cores that took up to 60 s."""
GRACE_S = 5.0
_PARENT = "DELTASTACK_RUN_PID"
_TEMPORARY = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}


def start(root: Path) -> str:
    """Start a server that ends after everything else in this process, and return the address of its API.

    Call it before Prefect is imported: what is registered first ends last, and Prefect still sends its logs then.

    Raises:
        PreflightError: It did not come up; the end of its log is in the message.
    """
    port = _free_port()
    log = root / ".run" / "logs" / "run-server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **_TEMPORARY, _PARENT: str(os.getpid()), "PYTHONPATH": _path()}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.server", str(port)],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for the run, which then ends its server
        )
    atexit.register(_stop, process)
    api = f"http://{HOST}:{port}/api"
    _await(process, api, log)
    return api


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _await(process: subprocess.Popen[bytes], api: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < end:
        if service_state.answers(f"{api}/health"):
            return
        time.sleep(0.1)
    tail = " / ".join(log.read_text(errors="replace").splitlines()[-3:]) or "nothing"
    raise PreflightError(
        f"Prefect's server for this run did not come up within {PATIENCE_S:.0f} s (its log ends: {tail}). "
        "If this machine is very busy, try again, or start a server that stays: make up"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _path() -> str:
    return os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))


def _serve(port: int) -> None:
    if _PARENT in os.environ:
        stage_runner.die_with_parent(signal.SIGTERM, int(os.environ[_PARENT]))
    import uvicorn

    uvicorn.run("flows.server:app", factory=True, host=HOST, port=port, log_level="critical", lifespan="on")


def app() -> ASGIApp:
    """Prefect's server behind the check of the host that a request names."""
    from prefect.server.api.server import create_app
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    return TrustedHostMiddleware(create_app(), allowed_hosts=list(HOSTS))


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
