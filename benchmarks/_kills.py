"""``python -m benchmarks._kills [TARGET] [COUNT]``: kill -9 at random moments of a run, on a clone of this commit.

After each kill every table that is there must have the bytes of an undisturbed run; the next run must end well by itself
and leave the same bytes again. Every second kill takes the run's children with it, the others only the run. It takes
about one and a half runs a kill, so ``python -m benchmarks`` leaves it out.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

HOME = Path(__file__).parents[1]
TARGET, COUNT = "joint@fleet", 20
SEED = 20261124


class Ended(NamedTuple):
    """How a run ended."""

    code: int
    words: str
    seconds: float


def main(target: str = TARGET, count: int = COUNT) -> int:
    """Kill ``count`` runs of ``target``; how many left something torn, or were not repaired."""
    chance, faults = random.Random(SEED), 0  # noqa: S311 - moments, not secrets
    with tempfile.TemporaryDirectory(prefix="kills-") as place:
        root = Path(place) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(HOME), str(root)], check=True)  # noqa: S607 - git is on the path
        finish(begin(root, target))  # compiles what numba compiles
        wipe(root)
        whole = finish(begin(root, target))
        print(f"undisturbed: exit {whole.code} in {whole.seconds:.1f} s")
        if whole.code != 0:
            sys.exit(whole.words)
        wanted = tables(root)
        for n in range(count):
            wipe(root)
            after_s, family = chance.uniform(0.05, 0.95) * whole.seconds, n % 2 == 0
            kill(begin(root, target), after_s, family=family)
            left = tables(root)
            torn = [name for name, digest in left.items() if wanted.get(name) != digest]
            again = finish(begin(root, target))
            same = again.code == 0 and tables(root) == wanted
            faults += bool(torn) or not same
            who = "run and children" if family else "run alone"
            print(
                f"{n + 1:2} killed after {after_s:5.1f} s ({who}): {len(left)} of {len(wanted)} tables there, "
                f"torn: {torn or 'none'}; "
                f"next run: exit {again.code} in {again.seconds:.1f} s, tables {'the same' if same else 'DIFFER'}",
                flush=True,
            )
            if not same:
                print(again.words)
    print(f"{count - faults} of {count} kills left nothing torn and were repaired by the next run")
    return faults


def begin(root: Path, target: str) -> subprocess.Popen[str]:
    """A run in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PREFECT_API_URL", "PREFECT_HOME"}}
    words = [sys.executable, "-m", "deltastack.cli", "run", "--target", target]
    return subprocess.Popen(
        words, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(run: subprocess.Popen[str]) -> Ended:
    """Its end."""
    clock = time.perf_counter()
    words, _ = run.communicate()
    return Ended(run.returncode, words, time.perf_counter() - clock)


def kill(run: subprocess.Popen[str], after_s: float, *, family: bool) -> None:
    """Kill -9 at that moment."""
    with suppress(subprocess.TimeoutExpired):
        run.wait(after_s)
    victims = [run.pid]
    with suppress(psutil.NoSuchProcess):
        victims += [p.pid for p in psutil.Process(run.pid).children(recursive=True)] if family else []
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    run.communicate()


def tables(root: Path) -> dict[str, str]:
    """The hash of every output by its path."""
    found = [p for p in sorted((root / "data").rglob("*")) if p.is_file() and not p.name.startswith(".")]
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def wipe(root: Path) -> None:
    """Everything is to be done again: no outputs, no cache, no record."""
    for name in ("data", ".dvc/cache", ".dvc/tmp", ".run"):
        shutil.rmtree(root / name, ignore_errors=True)
    subprocess.run(["git", "checkout", "--quiet", "--", "data"], cwd=root, check=True)  # noqa: S607 - as above
    (root / "dvc.lock").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2], *map(int, sys.argv[2:3])))
