"""``python -m benchmarks.faults [KILLS]``: kills, crowds, full disks, limits and servers that misbehave; loopback only.

Bounds: after each kill -9 the tables are whole and the next run gives the same ones; of five runs at once one works and all end
well; a full disk, a file that may not grow and too little memory end in one line and leave the old file; results for a server
that is away, answers 500, is slow or never answers are kept within ``MOST_S``, and delivered exactly once when one is there.
"""

from __future__ import annotations

import http.server
import json
import os
import random
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._kills import SEED, kill
from tests.flows.test_hard_times import BRING, RUN, start, tables
from tests.flows.tiny_project import expected, make_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOME = Path(__file__).parents[1]
KILLS = 100
CROWD = 5
MOST_S = 120.0
"""Until a server that misbehaves is given up; an attempt is capped at 5 s, twice a call, and slow ones answer some calls."""
SLOW_S = 1.0
GENERATE = ["workload", "generate", "--out", "{here}/trace.parquet", "--requests"]


def main(kills: int = KILLS) -> int:
    """Print each bound with what was found; how many failed."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        here = Path(folder)
        trials: list[tuple[str, Callable[[Path], str | None]]] = [
            (f"{kills} kills at random moments", lambda at: _kills(at, kills)),
            (f"{CROWD} runs at once", _crowd),
            ("a disk that is full", _full_disk),
            ("a file that may not grow", lambda at: _limited(at, resource.RLIMIT_FSIZE, 4096, "1000")),
            ("too little memory", lambda at: _limited(at, resource.RLIMIT_AS, 3 * 2**30, "10000000")),
            ("MLflow away", lambda at: _misbehaving(at, _away)),
            ("MLflow answers 500", lambda at: _misbehaving(at, lambda: _answering(0.0))),
            ("MLflow answers 500, slowly", lambda at: _misbehaving(at, lambda: _answering(SLOW_S))),
            ("MLflow never answers", lambda at: _misbehaving(at, _half_open)),
        ]
        for number, (name, trial) in enumerate(trials):
            at = here / str(number)
            at.mkdir()
            began_s = time.perf_counter()
            fault = trial(at)
            print(f"{name:32} {time.perf_counter() - began_s:6.1f} s  {fault or 'holds'}", flush=True)
            failed += fault is not None and not fault.startswith("not tried")
    return failed


def _kills(here: Path, count: int) -> str | None:
    root, chance = make_project(here / "tiny"), random.Random(SEED)  # noqa: S311 - moments, not secrets
    began_s = time.perf_counter()
    start(root, BRING).communicate()
    length_s, faults = time.perf_counter() - began_s, []
    for n in range(2, count + 2):
        (root / "params.yaml").write_text(f"n: {n}\n")
        kill(start(root, BRING), chance.uniform(0.05, 0.95) * length_s, family=n % 2 == 0)
        known = [expected(n - 1), expected(n)]
        torn = [name for name, text in tables(root).items() if all(text != k[name] for k in known)]
        words, _ = (again := start(root, BRING)).communicate()
        if torn or again.returncode or tables(root) != expected(n):
            faults.append(f"kill {n - 1}: torn {torn}, next run {again.returncode} {words[-200:]}")
    return "; ".join(faults) or None


def _crowd(here: Path) -> str | None:
    root = make_project(here / "tiny")
    runs = [start(root, RUN) for _ in range(CROWD)]
    said = [run.communicate()[0].splitlines()[-1:] for run in runs]
    codes = {run.returncode for run in runs}
    well = codes == {0} and said.count(["ran"]) == 1 and tables(root) == expected(1)
    return None if well else f"exits {codes}, said {said}"


def _full_disk(here: Path) -> str | None:
    """A stage on a file system without room: one line and exit 3, the old table whole; with room again it goes on."""
    place = here / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)], capture_output=True, check=False)  # noqa: S607 - root's own
    if mounted.returncode:
        return "not tried: this user may not mount a small file system"
    try:
        root = make_project(place / "tiny")
        _stage(root)
        (root / "params.yaml").write_text("n: 2\n" + "#" * 60_000)
        with (root / "filler").open("wb", buffering=0) as filler:
            while _room(root) > 0:
                filler.write(b"\0" * min(4096, _room(root)))
        refused, old = _stage(root), tables(root)
        (root / "filler").unlink()
        (root / "params.yaml").write_text("n: 3\n")
        again = _stage(root)
    finally:
        subprocess.run(["umount", str(place)], check=True)  # noqa: S607 - as above
    well = refused.returncode == 3 and refused.stderr.count("\n") == 1 and old == {"a.txt": expected(1)["a.txt"]}  # noqa: PLR2004 - refused
    return (
        None if well and again.returncode == 0 else f"exit {refused.returncode}, then {again.returncode}: {refused.stderr[-300:]}"
    )


def _room(root: Path) -> int:
    found = os.statvfs(root)
    return found.f_bavail * found.f_frsize


def _stage(root: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(HOME), "DVC_STAGE": "a", "DELTASTACK_DVC_PID": str(os.getpid())}
    return subprocess.run([sys.executable, "stage.py"], cwd=root, env=environment, capture_output=True, text=True, check=False)


def _limited(here: Path, kind: int, most: int, requests: str) -> str | None:
    """A command under a limit: one line, exit 2 or 3, nothing torn; without the limit it works."""
    words = [sys.executable, "-m", "deltastack.cli", *(w.format(here=here) for w in GENERATE)]

    def run(count: str, limit: Callable[[], None] | None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.run(
            [*words, count], cwd=HOME, env=environment, preexec_fn=limit, capture_output=True, text=True, check=False
        )

    refused = run(requests, lambda: resource.setrlimit(kind, (most, most)))
    torn = [p.name for p in here.iterdir()]
    again = run("1000", None)
    well = refused.returncode in {2, 3} and refused.stderr.count("\n") == 1 and not torn and again.returncode == 0
    return None if well else f"exit {refused.returncode}, then {again.returncode}, left {torn}: {refused.stderr[-300:]}"


def _misbehaving(here: Path, server: Callable[[], object]) -> str | None:
    """Results for a server that misbehaves stay, within a bound; a good one then takes them exactly once."""
    from deltastack.errors import TrackingError
    from flows import tracking
    from tasks import outbox

    (here / "reports").mkdir()
    (here / "reports/metrics.json").write_text(json.dumps({"delta_total": {"fleet": {"energy_j": {"joint": 0.125}}}}))
    tracking.publish(here)
    began_s = time.perf_counter()
    with server() as address:  # type: ignore[attr-defined]
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


@contextmanager
def _away() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextmanager
def _half_open() -> Iterator[str]:
    """Connections are taken, and nothing is ever said."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def _answering(after_s: float) -> Iterator[str]:
    """A server that answers 500, ``after_s`` after it was asked."""

    class Broken(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(after_s)
            self.send_error(500)

        do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815 - as above

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])) > 0)
