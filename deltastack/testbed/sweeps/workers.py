"""Worker processes that hold the same weights: one mapping for all, or a copy each.

    PSS of a worker = private pages + sum over shared pages (page / processes that map it)

so that the workers' sum is what the machine holds. Each worker is a bare interpreter that maps the file and touches every
page, or reads it into memory of its own; what the interpreter itself holds is in both and is told apart by ``idle_byte``.

Source: proc(5), /proc/PID/smaps_rollup and /proc/PID/io.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from deltastack.errors import EvidenceError
from deltastack.testbed import page_cache

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOLD = {
    "shared": "import mmap; m = mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ); s = sum(m[:: mmap.PAGESIZE])",
    "private": "m = f.read()",
    "none": "m = b''",
}
"""What a worker does with the open file ``f``."""


class Held(NamedTuple):
    """Workers in one way: the sum of their proportional memory [byte], and what they read from the disk [byte]."""

    way: str
    workers: int
    pss_byte: int
    read_byte: int


def hold(path: Path, way: str, workers: int) -> Held:
    """Let ``workers`` processes hold the file at ``path``, cold at the start, and read what they hold.

    Raises:
        EvidenceError: A worker ended before it held the file, or the system does not say.
    """
    page_cache.drop(path)
    with contextlib.ExitStack() as stack:
        ids = [stack.enter_context(_worker(path, way)) for _ in range(workers)]
        return Held(way, workers, sum(map(pss_byte, ids)), sum(map(read_byte, ids)))


def pss_byte(process: int) -> int:
    """Proportional set size of a process.

    Raises:
        EvidenceError: The system does not say.
    """
    return 1024 * _number(Path(f"/proc/{process}/smaps_rollup"), r"^Pss:\s+(\d+) kB")


def read_byte(process: int) -> int:
    """Bytes that a process had fetched from the disk.

    Raises:
        EvidenceError: The system does not say.
    """
    return _number(Path(f"/proc/{process}/io"), r"^read_bytes: (\d+)")


@contextlib.contextmanager
def _worker(path: Path, way: str) -> Iterator[int]:
    code = f"import sys; f = open(sys.argv[1], 'rb', buffering=0); {_HOLD[way]}; print('held', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None  # noqa: S101 - asked for above
        if process.stdout.readline().strip() != "held":
            raise EvidenceError(f"a worker ended before it held {path.name}")
        yield process.pid


def _number(path: Path, pattern: str) -> int:
    found = re.search(pattern, path.read_text(), flags=re.MULTILINE)
    if found is None:
        raise EvidenceError(f"{path} does not say what matches {pattern}")
    return int(found.group(1))
