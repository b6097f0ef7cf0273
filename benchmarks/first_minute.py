"""How long a newcomer waits: ``python -m benchmarks.first_minute [--with-run]``.

Clean clones of this checkout's last commit, set-up included. Without words: seconds to the first real number (`make demo`),
bound 60 s. With ``--with-run``, in a clone of its own: seconds to the fleet's verdict (120 s) and to the end (360 s) of `make
run`, then `make run` with nothing changed against `make repro`, which is `dvc repro` (1.3x, best of three). Times are wall times,
so the load of the machine stands beside them: a loud machine tells nothing about the bounds. Packages come from the index and
the cache that pip is set up with.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
BOUNDS_S = {"first number": 60.0, "fleet's verdict": 120.0, "end of the run": 360.0}
BOUND_RATIO = 1.3
REPEATS = 3
NUMBER = re.compile(r"\d+ published pairs")
VERDICT = re.compile(r"^\s*(fleet |energy, (full|today's) load)")
LOUD = 1.0
"""Waiting processes for each core above which the times are marked."""


class Line(NamedTuple):
    """A line that a command printed, and how many seconds after its start."""

    second: float
    text: str


def main() -> None:
    """Clone, time, print, write."""
    load = os.getloadavg()[0]
    print(f"load before: {load:.1f} on {os.cpu_count()} cores{' (loud: no verdict on a bound)' if loud(load) else ''}")
    with tempfile.TemporaryDirectory() as folder:
        found = {"first number": first(timed("make", "demo", at=cloned(Path(folder) / "demo")), NUMBER)}
        if "--with-run" in sys.argv:
            clone = cloned(Path(folder) / "run")
            lines = timed("make", "run", at=clone)
            found |= {"fleet's verdict": first(lines, VERDICT), "end of the run": lines[-1].second}
            found["unchanged"] = unchanged(clone)
    for name, value in found.items():
        print(told(name, value))
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "first_minute.json").write_text(json.dumps({"load": load, "found": found}, indent=2) + "\n")


def cloned(where: Path) -> Path:
    """A clone of this checkout's last commit at ``where``."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(where)], check=True)  # noqa: S607 - git is on the path
    return where


def timed(*command: str, at: Path) -> list[Line]:
    """The lines of stdout and stderr of ``command``, each with its second.

    Raises:
        subprocess.CalledProcessError: The command failed.
    """
    start = time.monotonic()
    child = subprocess.Popen(command, cwd=at, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert child.stdout is not None  # noqa: S101 - a pipe was asked for
    lines = [Line(time.monotonic() - start, text.rstrip()) for text in child.stdout]
    if child.wait():
        raise subprocess.CalledProcessError(child.returncode, command, "\n".join(line.text for line in lines))
    return [*lines, Line(time.monotonic() - start, "")]


def first(lines: list[Line], wanted: re.Pattern[str]) -> float | None:
    """The second of the first line that shows ``wanted``; None if no line does."""
    return next((line.second for line in lines if wanted.search(line.text)), None)


def unchanged(clone: Path) -> float:
    """Seconds of `make run` with nothing to do over those of `dvc repro`, taken in turn, the best of ``REPEATS`` each."""
    runs, repros = [], []
    for _ in range(REPEATS):
        runs.append(timed("make", "run", at=clone)[-1].second)
        repros.append(timed("make", "repro", at=clone)[-1].second)
    return min(runs) / min(repros)


def loud(load: float) -> bool:
    """Whether other work waits for the cores."""
    return load > LOUD * (os.cpu_count() or 1)


def told(name: str, value: float | None) -> str:
    """A time or ratio beside its bound."""
    bound, unit = (BOUND_RATIO, "x") if name == "unchanged" else (BOUNDS_S[name], " s")
    shown = "never shown" if value is None else f"{value:.1f}{unit}"
    return f"{name}: {shown} (bound {bound:g}{unit}) {'ok' if value is not None and value <= bound else 'over'}"


if __name__ == "__main__":
    main()
