"""A full disk, a file that may not grow, too little memory in a stage; and a clock that was set back."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deltastack.errors import RefusedError
from tests.flows.test_hard_times import BRING, start, tables
from tests.flows.tiny_project import expected, make_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HOME = Path(__file__).parents[1]
TABLES = "estimate@assistant joint@assistant"
STAGES = (
    ("workload",),
    ("operators", "assistant"),
    ("baseline", "assistant"),
    ("estimate", "assistant"),
    ("joint", "assistant"),
    ("sensitivity", "idle"),
    ("scenes", "assistant"),
    ("engine",),
    ("measure", "idle"),
)
"""Every kind of stage but the checkpoint, which copies shipped files, and the last one, which needs all others."""
FILE_BYTES = 512
MEMORY_BYTES = 3 * 2**29
ANSWERS = {0, 2, 3}
"""It did not need what was taken away, or it says in one line what is missing."""
BACK_S = 400 * 86_400
PRELUDE = """
import time, datetime
_now = time.time
time.time = lambda: _now() - {back}
class Earlier(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(time.time(), tz)
datetime.datetime = Earlier
"""


def full_disk(here: Path) -> str | None:
    """A stage on a file system without room: one line and exit 3, the old table whole; with room again it goes on."""
    with _small(here / "small") as place:
        if place is None:
            return "not tried: this user may not mount a small file system"
        root = make_project(place / "tiny")
        _tiny(root)
        (root / "params.yaml").write_text("n: 2\n" + "#" * 60_000)
        with (root / "filler").open("wb", buffering=0) as filler:
            while room(root) > 0:
                filler.write(b"\0" * min(4096, room(root)))
        refused, old = _tiny(root), tables(root)
        (root / "filler").unlink()
        (root / "params.yaml").write_text("n: 3\n")
        again = _tiny(root)
    one_line = refused.stderr.count("\n") == 1 and old == {"a.txt": expected(1)["a.txt"]}
    well = refused.returncode == RefusedError.exit_code and one_line and again.returncode == 0
    return None if well else f"exit {refused.returncode}, then {again.returncode}: {refused.stderr[-300:]}"


def stages(root: Path, limit: str) -> str | None:
    """Every stage of a finished checkout under a limit: exit 0, 2 or 3, one line, its tables whole or as they were."""
    limits = {
        "a file that may not grow": (resource.RLIMIT_FSIZE, FILE_BYTES),
        "too little memory": (resource.RLIMIT_AS, MEMORY_BYTES),
    }
    kind, most = limits[limit]
    faults = []
    for words in STAGES:
        before = digests(root)
        done = _stage(root, words, lambda: resource.setrlimit(kind, (most, most)))
        lines = [x for x in done.stderr.splitlines() if x.startswith("deltastack: ")]
        told = done.returncode == 0 or (len(lines) == 1 and "Traceback" not in done.stderr)
        torn = [n for n, digest in digests(root).items() if before.get(n) != digest and done.returncode != 0]
        said = f"{' '.join(words):22} exit {done.returncode}: {(lines or done.stderr.splitlines() or [''])[-1][:150]}"
        print(f"    {said}", flush=True)
        if done.returncode not in ANSWERS or not told or torn:
            faults.append(f"{said}, torn {torn}")
    return "; ".join(faults) or None


def clock_back(here: Path) -> str | None:
    """Runs go on, and publish once, though the clock was set back by more than a year between them."""
    root = make_project(here / "tiny")
    start(root, BRING).communicate()
    (root / "params.yaml").write_text("n: 2\n")
    run = start(root, PRELUDE.format(back=BACK_S) + BRING)
    words = run.communicate()[0]
    again = start(root, BRING)
    more = again.communicate()[0]
    well = (run.returncode, again.returncode) == (0, 0) and tables(root) == expected(2)
    return None if well else f"exits {run.returncode}, {again.returncode}: {words[-300:]}{more[-300:]}"


def limited(here: Path, kind: int, most: int, requests: str) -> str | None:
    """A command under a limit: one line, exit 2 or 3, nothing torn; without the limit it works."""
    words = [sys.executable, "-m", "deltastack.cli", "workload", "generate", "--out", f"{here}/trace.parquet", "--requests"]

    def run(count: str, limit: Callable[[], None] | None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.run(
            [*words, count], cwd=HOME, env=environment, preexec_fn=limit, capture_output=True, text=True, check=False
        )

    refused = run(requests, lambda: resource.setrlimit(kind, (most, most)))
    torn = [p.name for p in here.iterdir()]
    again = run("1000", None)
    well = refused.returncode in ANSWERS - {0} and refused.stderr.count("\n") == 1 and not torn and again.returncode == 0
    return None if well else f"exit {refused.returncode}, then {again.returncode}, left {torn}: {refused.stderr[-300:]}"


def digests(root: Path) -> dict[str, int]:
    """A number for the bytes of every table by its path."""
    return {p.relative_to(root).as_posix(): hash(p.read_bytes()) for p in (root / "data").rglob("*") if p.is_file()}


def room(root: Path) -> int:
    """Bytes that are free."""
    found = os.statvfs(root)
    return found.f_bavail * found.f_frsize


@contextmanager
def _small(place: Path) -> Iterator[Path | None]:
    """A file system of 256 KiB; None where this user may not mount one."""
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)], capture_output=True, check=False)  # noqa: S607 - root's own
    if mounted.returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)  # noqa: S607 - as above


def _tiny(root: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(HOME), "DVC_STAGE": "a", "DELTASTACK_DVC_PID": str(os.getpid())}
    return subprocess.run([sys.executable, "stage.py"], cwd=root, env=environment, capture_output=True, text=True, check=False)


def _stage(root: Path, words: Sequence[str], limit: Callable[[], None]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"tasks.{words[0]}", *words[1:]]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        command, cwd=root, env=environment, preexec_fn=limit, capture_output=True, text=True, check=False, start_new_session=True
    )
