"""The bridge to DVC, and the only module that knows it: the graph, what is stale, one stage brought up to date.

DVC's Python interface is only read here (graph and status). A stage is brought up to date by DVC's command
line in a process group of its own: its lines can be streamed, it can be killed whole, and it dies with us.
``python -m flows.dvc_adapter`` is that command line with the parent-death signal set.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import networkx as nx

from deltastack.errors import BusyError, StageError, UnknownNameError
from deltastack.model import Bench
from flows import dvc_repair, receipts
from flows.process_group import LIVE
from tasks import stage_runner
from tasks.stage_outcome import Done, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PARENT = "DELTASTACK_FLOW_PID"
"""Environment variable: the flow's process, whose death ends DVC."""
_BUSY = ("Unable to acquire lock", "is busy, it is being blocked by")
_NOISE = re.compile(r"\s*$|To track|\s*git add|To enable|Use `dvc push`|Updating lock file|Generating lock file")
_RESTORED = "is cached - skipping run"
_HOME = Path(__file__).parents[1]


class Survey(NamedTuple):
    """What dvc.yaml declares and what of it is stale."""

    root: Path
    graph: nx.DiGraph
    """Edges from a stage to those that read its outputs; nodes carry ``measured``."""
    stale: frozenset[str]
    """Stages whose own inputs, parameters, command or outputs differ from dvc.lock."""
    cache: Path


def survey(root: Path) -> Survey:
    """Read the graph and its status, in one pass under DVC's lock.

    Raises:
        StageError: dvc.yaml or the repository cannot be read.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    try:
        with Repo(str(root), _wait_for_lock=True) as repo, repo.lock:
            graph, stages = _graph(repo)
            try:
                stale = frozenset(name for name, stage in stages.items() if stage.status(check_updates=False))
            except LockError:  # a stage of another process runs: let each stage find out for itself
                stale = frozenset(stages)
            return Survey(root, graph, stale, Path(repo.cache.local.path))
    except DvcException as error:
        raise StageError(f"DVC cannot read the graph of {root}: {_chain(error)}") from error


def cache(root: Path) -> Path:
    """Where DVC keeps files by their hash (``files/md5``)."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        return Path(repo.cache.local.path).resolve()


def select(found: Survey, target: str) -> nx.DiGraph:
    """The part of the graph that ``target``, one stage or several with blanks between them, needs.

    Raises:
        UnknownNameError: There is no such stage.
    """
    wanted: set[str] = set()
    for stage in target.split():
        if stage not in found.graph:
            known = ", ".join(nx.lexicographical_topological_sort(found.graph))
            raise UnknownNameError(f"no stage '{stage}' in dvc.yaml; it has: {known or 'none'}")
        wanted |= {stage, *nx.ancestors(found.graph, stage)}
    return found.graph.subgraph(wanted).copy()


def mend(root: Path, say: Callable[[str], object]) -> None:
    """Put right what a killed run left in DVC's files; takes DVC's own locks, so a running DVC is never disturbed."""
    from dvc.lock import make_lock
    from dvc.repo import Repo

    broken = root / ".run" / "broken"
    with Repo(str(root), _wait_for_lock=True) as repo, repo.lock:
        tmp = Path(str(repo.tmp_dir))
        with make_lock(str(tmp / "rwlock.lock"), tmp_dir=str(tmp), wait=True):
            words = [dvc_repair.mend_table(tmp / "rwlock", broken, _is_dvc)]
        words.append(dvc_repair.mend_lock(root / "dvc.lock", _spare(root), broken))
    for line in filter(None, words):
        say(line)


def bring(
    found: Survey,
    stage: str,
    *,
    force: bool = False,
    say: Callable[[str], object] = print,
    more: Mapping[str, str] | None = None,
) -> Done:
    """Bring one stage up to date through DVC.

    Args:
        found: The project, as surveyed.
        stage: Its name in dvc.yaml; what it reads must be up to date.
        cache: DVC's cache, for the age of what it restores.
        force: Run it even if nothing changed (measure again).
        say: Gets each line that DVC and the stage print.
        more: Environment variables for the stage.

    Raises:
        BusyError: Another DVC process holds the files of this stage.
        StageError: The stage failed; it carries the stage's message and exit code.
    """
    root, token, clock = found.root, uuid.uuid4().hex, time.perf_counter()
    words = ["--wait-for-lock", "repro", "--single-item", *(["--force"] if force else []), stage]
    code, lines = _dvc(root, words, {**(more or {}), stage_runner.TOKEN: token}, say)
    if code != 0:
        raise _failure(root, stage, token, lines)
    dvc_repair.keep_spare(root / "dvc.lock", _spare(root))
    ran = receipts.read(stage_runner.receipt(root, stage)).get("token") == token or f"Running stage '{stage}':" in lines
    restored = any(_RESTORED in x for x in lines)
    outcome = Outcome.RAN if ran else Outcome.RESTORED if restored else Outcome.UNCHANGED
    return receipts.complete(root, Done(stage, outcome, round(time.perf_counter() - clock, 3)), found.cache)


def _graph(repo: Any) -> tuple[nx.DiGraph, dict[str, Any]]:
    stages = {s.name: s for s in repo.index.stages if getattr(s, "name", None)}
    graph = nx.DiGraph()
    for name, stage in stages.items():
        meta = stage.meta or {}
        graph.add_node(name, measured=bool(meta.get("measured")) or not Bench(meta.get("bench", Bench.FLEET)).facts.simulated)
    pairs = ((up.name, down.name) for down, up in repo.index.graph.edges if hasattr(up, "name") and hasattr(down, "name"))
    graph.add_edges_from(pairs)
    return graph, stages


def _dvc(root: Path, words: list[str], more: Mapping[str, str], say: Callable[[str], object]) -> tuple[int, list[str]]:
    """DVC's exit code and lines; it runs in its own process group with this interpreter first on the path."""
    command = [sys.executable, "-m", "flows.dvc_adapter", *words]
    lines: list[str] = []
    with LIVE.start(command, cwd=root, env=_environment(more)) as process:
        for raw in process.stdout or ():
            line = raw.rstrip()
            lines.append(line)
            if not _NOISE.match(line):
                say(line)
        return process.wait(), lines


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(Path(sys.executable).parent), os.environ.get("PATH"))))
    code = os.pathsep.join(filter(None, (str(_HOME), os.environ.get("PYTHONPATH"))))
    ours = {
        "PATH": path,
        "PYTHONPATH": code,
        "PYTHONUNBUFFERED": "1",
        "SHELL": shutil.which("bash") or "/bin/sh",  # bash replaces itself by the command: the stage is DVC's own child
        "DVC_NO_ANALYTICS": "1",
        PARENT: str(os.getpid()),
    }
    return {**os.environ, **ours, **more}


def _failure(root: Path, stage: str, token: str, lines: list[str]) -> StageError:
    text = "\n".join(lines)
    if LIVE.stopping:
        return StageError(f"{stage}: stopped because the run was cancelled")
    if any(sign in text for sign in _BUSY):
        holders = "; ".join(x.strip() for x in lines if x.strip().startswith("(PID")) or "its repository lock is taken"
        return BusyError(f"{stage}: another run holds the graph, waiting ({holders})")
    left = receipts.read(stage_runner.failure(root, stage))
    if left.get("token") == token:
        error = StageError(f"stage '{stage}' failed: {left['message']}")
        error.exit_code = int(left["exit_code"])
        return error
    last = [x.removeprefix("ERROR: ") for x in lines if x.startswith("ERROR")] or lines[-3:] or ["DVC printed nothing"]
    return StageError(f"stage '{stage}' failed: {' / '.join(last)}")


def _spare(root: Path) -> Path:
    return root / ".run" / "dvc.lock.good"


def _is_dvc(pid: int) -> bool:
    """Whether that process lives and looks like DVC: process ids are used again."""
    import psutil

    try:
        words = " ".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    return "dvc" in words or "flows" in words or pid == os.getpid()


def _chain(error: BaseException) -> str:
    """The messages of an exception and its causes on one line."""
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None:
        parts.append(" ".join(str(current).split()))
        current = current.__cause__
    return ": ".join(dict.fromkeys(parts))


def _as_runner(words: list[str]) -> int:
    """Be DVC's command line, tied to the life of the flow that started it."""
    stage_runner.die_with_parent(signal.SIGTERM, int(os.environ[PARENT]))
    os.environ[stage_runner.STARTED_BY] = str(os.getpid())
    from dvc.cli import main

    return int(main(words))


if __name__ == "__main__":
    sys.exit(_as_runner(sys.argv[1:]))
