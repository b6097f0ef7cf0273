"""A checkout that is read-only, somebody else's, moved or copied."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.flows.test_hard_times import BRING, start, tables
from tests.flows.tiny_project import expected, make_project

HOME = Path(__file__).parents[1]
NOBODY = "65534"
COMMANDS = (
    ("report",),
    ("run",),
    ("sync",),
    ("tidy", "--apply"),
    ("record", "mine.zip"),
    ("imported", "--remove", "x"),
    ("doctor",),
)
REFUSED = {1, 2, 3}


def read_only(here: Path) -> str | None:
    """Every command that writes says in one line that it cannot, on a file system that is read-only; no traceback."""
    root = _clone(here)
    mounted = [("mount", "--bind", str(root), str(root)), ("mount", "-o", "remount,ro,bind", str(root))]
    if any(subprocess.run(words, capture_output=True, check=False).returncode for words in mounted):
        return "not tried: this user may not mount"
    try:
        return _commands(root, ())
    finally:
        subprocess.run(["umount", str(root)], check=True)  # noqa: S607 - root's own


def foreign(here: Path) -> str | None:
    """The same in another user's checkout, without the rights that let root write everywhere."""
    root = _clone(here)
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return "not tried: it takes root and setpriv"
    subprocess.run(["chown", "-R", NOBODY, str(root)], check=True)  # noqa: S607 - root's own
    return _commands(root, ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"))


def _clone(here: Path) -> Path:
    root = here / "clone"
    subprocess.run(["git", "clone", "--quiet", str(HOME), str(root)], check=True)  # noqa: S607 - git is on the path
    return root


def _commands(root: Path, before: tuple[str, ...]) -> str | None:
    faults = []
    for words in COMMANDS:
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [*before, sys.executable, "-m", "deltastack.cli", *words]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        lines = done.stderr.splitlines()
        refused = done.returncode in REFUSED and len(lines) == 1
        print(f"    {' '.join(words):24} exit {done.returncode}: {(lines or ['well'])[-1][:150]}", flush=True)
        if "Traceback" in done.stderr or not (refused or done.returncode == 0):
            faults.append(f"{' '.join(words)}: exit {done.returncode}: {lines[-3:]}")
    return "; ".join(faults) or None


def moved(here: Path) -> str | None:
    """A checkout that was moved finds everything up to date; its copy too, and each then writes its own tables alone."""
    first, second, copy = make_project(here / "first"), here / "second", here / "copy"
    start(first, BRING).communicate()
    first.rename(second)
    shutil.copytree(second, copy, symlinks=True)
    runs = [start(root, BRING) for root in (second, copy)]
    said = [run.communicate()[0] for run in runs]
    (copy / "params.yaml").write_text("n: 2\n")
    last = start(copy, BRING)
    words = last.communicate()[0]
    well = (
        [run.returncode for run in (*runs, last)] == [0, 0, 0] and tables(second) == expected(1) and tables(copy) == expected(2)
    )
    return None if well else f"exits {[r.returncode for r in runs]}, {last.returncode}: {said} {words[-300:]}"
