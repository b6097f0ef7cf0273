"""``python -m benchmarks.faults [KILLS] [REAL]``: every bound, one line each, with what was found; loopback only.

Bounds: after each of KILLS (100) kill -9 on the tiny graph and REAL (20) on the real one the tables are whole and the next run
gives the same ones; of five runs at once one works and all end well; a full disk, a file that may not grow and too little memory
end in one line and leave the old file, in every stage; a server that is away, slow, wrong or silent is given up in time, and
what it was to get is delivered exactly once; the clock may go back; a checkout may be read-only, another's, moved or copied.

Words after the numbers choose bounds by a part of their name: ``python -m benchmarks.faults 10 0 Prefect clock``.
REAL of 0 leaves out the real graph, which takes most of an hour.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import _faults_checkout, _faults_machine, _faults_servers, _kills
from benchmarks._kills import SEED, kill
from tests.flows.test_hard_times import BRING, RUN, start, tables
from tests.flows.tiny_project import expected, make_project

if TYPE_CHECKING:
    from collections.abc import Callable

HOME = Path(__file__).parents[1]
KILLS = 100
CROWD = 5


def main(kills: int = KILLS, real: int = _kills.COUNT, *chosen: str) -> int:
    """Print each bound with what was found; how many failed."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        here = Path(folder)
        for number, (name, trial) in enumerate(_trials(kills, real)):
            if chosen and not any(word in name for word in chosen):
                continue
            at = here / str(number)
            at.mkdir()
            began_s = time.perf_counter()
            fault = trial(at)
            print(f"{name:48} {time.perf_counter() - began_s:7.1f} s  {fault or 'holds'}", flush=True)
            failed += fault is not None and not fault.startswith("not tried")
    return failed


def _trials(kills: int, real: int) -> list[tuple[str, Callable[[Path], str | None]]]:
    machine, servers, checkout = _faults_machine, _faults_servers, _faults_checkout
    found: list[tuple[str, Callable[[Path], str | None]]] = [
        (f"{kills} kills of the tiny graph", partial(_tiny_kills, count=kills)),
        (f"{CROWD} runs at once", _crowd),
        ("a disk that is full", machine.full_disk),
        ("a command: a file that may not grow", partial(machine.limited, kind=resource.RLIMIT_FSIZE, most=4096, requests="1000")),
        ("a command: too little memory", partial(machine.limited, kind=resource.RLIMIT_AS, most=3 * 2**30, requests="10000000")),
        ("the clock set back", machine.clock_back),
        ("a checkout that is read-only", checkout.read_only),
        ("a checkout of somebody else", checkout.foreign),
        ("a checkout moved and copied", checkout.moved),
    ]
    wrongs = (
        ("is away", servers.away),
        ("answers 500", servers.wrong),
        ("answers 500, slowly", servers.slowly_wrong),
        ("never answers", servers.half_open),
        ("is well, then never answers", servers.well_then_silent),
    )
    for name, server in wrongs:
        found += [
            (f"MLflow {name}", partial(servers.mlflow, server=server)),
            (f"Prefect {name}", partial(servers.prefect, server=server)),
        ]
    if real:
        limits = ("a file that may not grow", "too little memory")
        found += [(f"every stage: {limit}", partial(_stages, limit=limit)) for limit in limits]
        found += [(f"{real} kills of the real graph", lambda _: f"{faults} faults" if (faults := _kills.main(real)) else None)]
    return found


def _tiny_kills(here: Path, count: int) -> str | None:
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


def _stages(here: Path, limit: str) -> str | None:
    """Each stage under a limit, in a clone whose fleet was computed before."""
    root = here / "clone"
    subprocess.run(["git", "clone", "--quiet", str(HOME), str(root)], check=True)  # noqa: S607 - git is on the path
    made = _kills.finish(_kills.begin(root, _faults_machine.TABLES))
    return f"no tables to begin with: {made.words[-3:]}" if made.code else _faults_machine.stages(root, limit)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3]), *sys.argv[3:]) > 0)
