"""A real Dask scheduler and real workers on loopback, each a process of its own; and work for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import Client

from deltastack.fleet.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60.0
SCHEDULER = """
import asyncio
from distributed import Scheduler

async def main():
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()

asyncio.run(main())
"""


@dataclass
class Servers:
    """A scheduler and its workers."""

    folder: Path
    address: str = ""
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *words: str, name: str) -> subprocess.Popen[bytes]:
        """A Python process whose words go to a file of the folder."""
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=log)

    def begin(self) -> None:
        """Start the scheduler; its address is there when this returns."""
        self.scheduler = self.start("-c", SCHEDULER, name="scheduler")
        assert self.scheduler.stdout is not None
        self.address = self.scheduler.stdout.readline().decode().strip()

    def add_worker(self, *words: str) -> None:
        """Start one more worker of one thread; it is at the scheduler when this returns."""
        common = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder))
        line = ("-m", "distributed.cli.dask_worker", self.address, *common, *words)
        self.workers.append(self.start(*line, name=f"worker-{len(self.workers)}"))
        alive = sum(w.poll() is None for w in self.workers)
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(alive, timeout=PATIENCE_S)

    def executor(self, root: Path = ROOT, wait_s: float = PATIENCE_S) -> Cluster:
        """What runs work here."""
        return Cluster(address=self.address, root=root, wait_s=wait_s)

    def end(self) -> None:
        """Kill what is left."""
        for process in (*self.workers, self.scheduler):
            if process is not None:
                process.kill()
                process.communicate()


@contextmanager
def servers(folder: Path, workers: int = 2) -> Iterator[Servers]:
    """A scheduler with so many workers."""
    found = Servers(folder)
    try:
        found.begin()
        for _ in range(workers):
            found.add_worker()
        yield found
    finally:
        found.end()


def pid_and_square(x: int) -> tuple[int, int]:
    """Where it ran, and the answer."""
    return os.getpid(), x * x


def reciprocal(x: int) -> float:
    """1 / x."""
    return 1 / x


def deadly(x: int) -> Any:
    """Ends its worker."""
    os.kill(os.getpid(), signal.SIGKILL)
    return x


@dataclass(frozen=True)
class Reads:
    """A function that reads params of its checkout."""

    root: Path

    def __call__(self, name: str) -> tuple[str, str]:
        """Where it read, and what."""
        return str(self.root), (self.root / "params" / name).read_text(encoding="utf-8")
