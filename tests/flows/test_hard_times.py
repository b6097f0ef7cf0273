"""Five runs at once on one checkout, and kill -9 at random moments: no torn table, no manual step, the same tables."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks._kills import kill
from flows import dvc_adapter, dvc_repair
from flows.process_group import WAITING
from tests.flows.tiny_project import expected, make_project

HOME = Path(__file__).parents[2]
KILLS = int(os.environ.get("DELTASTACK_KILLS", "6"))
"""Moments in every test run; ``python -m benchmarks`` tries twenty on the real graph."""
RUN = """
import sys
from pathlib import Path
from flows import run_stack
ended = run_stack.run(Path.cwd(), "d", remeasure=False, listener=run_stack.Listener(print, lambda _: None, lambda _: None))
print("ran" if ended.ran else "nothing changed")
"""
BRING = """
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from flows import dvc_adapter, process_group
root = Path.cwd()
with process_group.turn(root, print):
    dvc_adapter.mend(root, print)
    found = dvc_adapter.survey(root)
    dvc_adapter.bring(found, "a", say=lambda _: None)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda stage: dvc_adapter.bring(found, stage, say=lambda _: None), "bc"))
    dvc_adapter.bring(found, "d", say=lambda _: None)
"""


def start(root: Path, code: str) -> subprocess.Popen[str]:
    """``code`` in a process of its own, inside ``root``."""
    environment = {**os.environ, "PYTHONPATH": str(HOME), "PREFECT_HOME": str(root / ".run" / "prefect")}
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def tables(root: Path) -> dict[str, str]:
    """Every table by name."""
    return {p.name: p.read_text() for p in sorted((root / "data").iterdir()) if not p.name.startswith(".")}


@pytest.mark.slow
@pytest.mark.xdist_group("prefect")
def test_five_runs_at_once(tiny: Path) -> None:
    """One runs the graph, four say that they wait and then find nothing to do; dvc.lock is whole."""
    runs = [start(tiny, RUN) for _ in range(5)]
    said = [run.communicate()[0] for run in runs]

    assert [run.returncode for run in runs] == [0] * 5, said
    assert sorted(text.splitlines()[-1] for text in said) == ["nothing changed"] * 4 + ["ran"]
    assert sum(WAITING in text for text in said) >= 3
    assert set(dvc_repair.read_lock(tiny / "dvc.lock") or {}) == set("abcd")
    assert tables(tiny) == expected(1)
    assert dvc_adapter.survey(tiny).stale == frozenset()


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """After each kill -9, of the run alone or with all its children, tables are whole; the next run repairs all."""
    root = make_project(tmp_path / "tiny")
    chance = random.Random(20261123)  # noqa: S311 - moments, not secrets
    began = time.monotonic()
    whole = start(root, BRING)
    assert whole.communicate() == ("", None)
    length_s = time.monotonic() - began

    for n in range(2, KILLS + 2):
        (root / "params.yaml").write_text(f"n: {n}\n")
        kill(start(root, BRING), chance.uniform(0.1, 0.9) * length_s, family=n % 2 == 0)
        known = [expected(k) for k in range(1, n + 1)]
        assert [name for name, text in tables(root).items() if all(text != k[name] for k in known)] == []
    last = start(root, BRING)
    words, _ = last.communicate()

    assert last.returncode == 0, words
    assert tables(root) == expected(KILLS + 1)
    assert dvc_adapter.survey(root).stale == frozenset()
