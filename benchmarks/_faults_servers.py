"""MLflow and Prefect away, slow, answering 500 or never: a bounded wait, nothing lost, each result delivered exactly once."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

from flows import service_state
from tests.flows.test_hard_times import RUN, start, tables
from tests.flows.tiny_project import expected, make_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    Server = Callable[[], AbstractContextManager[str]]

MOST_S = 120.0
"""Until a server that misbehaves is given up; an attempt is capped at 5 s, twice a call, and slow ones answer some calls."""
SLOW_S = 1.0
WELL = "/health"


def mlflow(here: Path, server: Server) -> str | None:
    """Results for a server that misbehaves stay, within a bound; a good one then takes them exactly once."""
    from deltastack.errors import TrackingError
    from flows import tracking
    from tasks import outbox

    (here / "reports").mkdir()
    (here / "reports/metrics.json").write_text(json.dumps({"delta_total": {"fleet": {"energy_j": {"joint": 0.125}}}}))
    tracking.publish(here)
    began_s = time.perf_counter()
    with server() as address:
        os.environ["MLFLOW_TRACKING_URI"] = address
        try:
            tracking.deliver(here, lambda _: None)
        except TrackingError:
            took_s = time.perf_counter() - began_s
        else:
            return "taken for delivered"
        finally:
            del os.environ["MLFLOW_TRACKING_URI"]
    kept = len(outbox.pending(here))
    first, second = (len(tracking.deliver(here, lambda _: None)) for _ in range(2))
    well = (kept, first, second) == (1, 1, 0) and took_s < MOST_S
    return None if well else f"given up after {took_s:.0f} s, {kept} kept, {first} then {second} delivered"


def prefect(here: Path, server: Server) -> str | None:
    """A run whose noted Prefect server misbehaves makes the same tables on a server of its own."""
    root = make_project(here / "tiny")
    with server() as address:
        started = psutil.Process().create_time()
        service_state.save(root, [service_state.Service("prefect", os.getpid(), started, address)])
        began_s = time.perf_counter()
        run = start(root, RUN)
        words = run.communicate()[0]
        took_s = time.perf_counter() - began_s
    well = run.returncode == 0 and words.splitlines()[-1:] == ["ran"] and tables(root) == expected(1) and took_s < 2 * MOST_S
    return None if well else f"exit {run.returncode} after {took_s:.0f} s: {words[-300:]}"


@contextmanager
def away() -> Iterator[str]:
    """Nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextmanager
def half_open() -> Iterator[str]:
    """Connections are taken, and nothing is ever said."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def wrong() -> AbstractContextManager[str]:
    """It answers 500 at once."""
    return _answering(0.0)


def slowly_wrong() -> AbstractContextManager[str]:
    """It answers 500 after a while."""
    return _answering(SLOW_S)


def well_then_silent() -> AbstractContextManager[str]:
    """It says that it is well, and answers nothing else."""
    return _answering(None)


@contextmanager
def _answering(after_s: float | None) -> Iterator[str]:
    """A server that answers 500 ``after_s`` after it was asked; None: it is well, and then never answers."""
    over = threading.Event()

    class Broken(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if after_s is None and not self.path.endswith(WELL):
                over.wait()
                return
            time.sleep(after_s or 0.0)
            if after_s is None:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_error(500)

        do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815 - as above

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            over.set()
            server.shutdown()
            thread.join()
