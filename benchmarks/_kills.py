"""``python -m benchmarks._kills [COUNT] [TARGET]``: kill -9 at random moments of the real graph, on a clone of this commit.

An undisturbed run goes first. COUNT moments are drawn evenly over its time, and the graph is made again from nothing: each
run goes on where the killed one before it stopped, until it has reached its moment. Every second kill takes the run's
children with it. After each kill every table is whole, and a simulated one has the bytes of the undisturbed run; the run
after the last kill ends well by itself, with every table there. It takes two to three runs of a quarter of an hour.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import networkx as nx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from flows import dvc_adapter, receipts

HOME = Path(__file__).parents[1]
COUNT = 20
TARGET = "aggregate measure@idle"
"""Fleet, serving engine and page, and a layer on the testbed; quick, so that it ends."""
SEED = 20261124
START_S = 60.0
"""Until a run has its server, on a busy machine."""
_POLL_S = 0.05
_STEP = re.compile(r" *\d+/\d+ \S+: ")


class Ended(NamedTuple):
    """How a run ended."""

    code: int
    words: list[str]
    steps_s: list[float]
    """When each stage was up to date, in seconds after the start."""
    seconds: float


def main(count: int = COUNT, target: str = TARGET, at: str = "") -> int:
    """Kill ``count`` runs of ``target``; how many left something torn, or were not repaired.

    ``at`` names a clone with an undisturbed run in it already, and the file of its lines with ``.log`` behind.
    """
    with tempfile.TemporaryDirectory(prefix="kills-") as place:
        root = Path(at or Path(place) / "clone")
        if at:
            whole = _told(Path(f"{at}.log").read_text().splitlines())
        else:
            subprocess.run(["git", "clone", "--quiet", str(HOME), str(root)], check=True)  # noqa: S607 - git is on the path
            whole = finish(begin(root, target))
        print(f"undisturbed: exit {whole.code} in {whole.seconds:.0f} s, {len(whole.steps_s)} stages", flush=True)
        if whole.code != 0:
            sys.exit("\n".join(whole.words))
        return _all(root, target, count, whole)


def _all(root: Path, target: str, count: int, whole: Ended) -> int:
    wanted, exact = tables(root), _simulated(root)
    chance = random.Random(SEED)  # noqa: S311 - moments, not secrets
    moments = sorted(chance.uniform(0, whole.seconds) for _ in range(count))
    wipe(root)
    faults = killed = 0
    for n, moment in enumerate(moments):
        steps = sum(s <= moment for s in whole.steps_s)
        after_s = moment - max((s for s in whole.steps_s if s <= moment), default=0.0)
        family = n % 2 == 0
        ran = _killed(begin(root, target), steps, after_s, START_S + after_s + whole.seconds / count, family=family)
        killed += ran
        left = tables(root)
        torn = [x for x in left if unsound(root / x) or (x in exact and left[x] != wanted.get(x))]
        faults += bool(torn)
        who = "run and children" if family else "run alone"
        told = f"{n + 1:2} {'killed' if ran else 'ended before'} {after_s:5.1f} s after stage {steps} ({who})"
        print(f"{told}: {len(left)} tables, torn: {torn or 'none'}", flush=True)
    return faults + _mended(root, target, wanted, exact, f"{killed - faults} of {killed} kills left nothing torn")


def _mended(root: Path, target: str, wanted: dict[str, str], exact: frozenset[str], said: str) -> bool:
    """Whether the run after all kills does not end well with every table there, the simulated ones with the same bytes."""
    last = finish(begin(root, target))
    found = tables(root)
    same = last.code == 0 and found.keys() == wanted.keys() and all(found[x] == wanted[x] for x in exact)
    end = f"{len(exact)} simulated tables are the same" if same else f"simulated tables DIFFER: {last.words[-5:]}"
    print(f"{said}; the run after them: exit {last.code} in {last.seconds:.0f} s, {len(found)} tables, {end}", flush=True)
    return not same


def _killed(run: subprocess.Popen[str], steps: int, after_s: float, most_s: float, *, family: bool) -> bool:
    """Kill a run ``after_s`` after so many stages are up to date, or ``most_s`` after its start; whether it still ran.

    Stages that are up to date may be told late, while one that measures holds the turn.
    """
    seen: list[float] = []
    reader = threading.Thread(target=_note_steps, args=(run, seen), daemon=True)
    reader.start()
    began_s = time.perf_counter()
    while run.poll() is None:
        now_s = time.perf_counter()
        reached_s = began_s if not steps else seen[steps - 1] if len(seen) >= steps else now_s
        if now_s - reached_s >= after_s or now_s - began_s >= most_s:
            break
        time.sleep(_POLL_S)
    ran = run.poll() is None
    end(run, family=family)
    reader.join()
    return ran


def _note_steps(run: subprocess.Popen[str], seen: list[float]) -> None:
    seen.extend(time.perf_counter() for line in run.stdout or () if _is_step(line))


def _told(lines: list[str]) -> Ended:
    """An undisturbed run by its lines, its stages taken as one after another."""
    seconds = [float(x.rsplit("ran in ", 1)[1].split(" s")[0]) for x in lines if _is_step(x) and "ran in" in x]
    steps = [sum(seconds[: k + 1]) for k in range(len(seconds))]
    return Ended(0, lines, steps, steps[-1])


def _is_step(line: str) -> bool:
    return _STEP.match(line) is not None


def _simulated(root: Path) -> frozenset[str]:
    """Tables whose bytes an undisturbed run repeats: outputs of stages that neither measure nor read what was measured."""
    graph = dvc_adapter.survey(root).graph
    measured = {n for n, is_measured in graph.nodes(data="measured") if is_measured}
    loud = measured.union(*(nx.descendants(graph, n) for n in measured))
    outs = {path for stage in graph if stage not in loud for path, _ in receipts.outputs(root, stage)}
    return frozenset(x for x in tables(root) if any(x == o or x.startswith(f"{o}/") for o in outs))


def unsound(path: Path) -> bool:
    """Whether a table or a JSON file cannot be read to its end."""
    try:
        if path.suffix == ".parquet":
            pq.read_table(path, page_checksum_verification=True)
        elif path.suffix == ".json":
            json.loads(path.read_text())
    except (pa.ArrowException, ValueError, OSError):
        return True
    return False


def begin(root: Path, target: str) -> subprocess.Popen[str]:
    """A run in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PREFECT_API_URL", "PREFECT_HOME"}}
    words = [sys.executable, "-m", "deltastack.cli", "run", "--quick", "--target", target]
    return subprocess.Popen(
        words, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(run: subprocess.Popen[str]) -> Ended:
    """Its end."""
    clock = time.perf_counter()
    words, steps = [], []
    for line in run.stdout or ():
        words.append(line.rstrip())
        if _is_step(line):
            steps.append(time.perf_counter() - clock)
    return Ended(run.wait(), words, steps, time.perf_counter() - clock)


def kill(run: subprocess.Popen[str], after_s: float, *, family: bool) -> None:
    """Kill -9 at that moment, and wait for its end."""
    with suppress(subprocess.TimeoutExpired):
        run.wait(after_s)
    end(run, family=family)
    run.communicate()


def end(run: subprocess.Popen[str], *, family: bool) -> None:
    """Kill -9 now."""
    victims = [run.pid]
    with suppress(psutil.NoSuchProcess):
        victims += [p.pid for p in psutil.Process(run.pid).children(recursive=True)] if family else []
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    run.wait()


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
    sys.exit(main(*map(int, sys.argv[1:2]), *sys.argv[2:4]))
