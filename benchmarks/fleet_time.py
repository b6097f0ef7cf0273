"""How long the fleet takes, and that it gives the same bytes twice: ``python -m benchmarks.fleet_time [SCENE ...]``.

Every fleet stage of the scenes (all of params/scenes by default) runs twice, through the command line, each time in a fresh copy
of this checkout: nothing compiled, no table, no ledger. Bounds: all scenes in 240 s, the default scene alone in 100 s; all tables
equal byte for byte. Times are wall times of whole runs, so the machine must be quiet; processor seconds stand beside them.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks._checkout import copied
from deltastack.fleet import scene
from tasks import fleet

ROOT = Path(__file__).parents[1]
BOUND_ALL_S, BOUND_DEFAULT_S = 240.0, 100.0
SLOWEST = 8
TABLES = ("baseline", "delta/estimated", "joint", "operators", "quality", "scene", "sensitivity")


class Ran(NamedTuple):
    """One run of all fleet stages."""

    wall_s: float
    processor_s: float
    stages: dict[str, float]
    """Seconds of each."""
    tables: dict[str, str]
    """Hash of each file below data."""


def main() -> None:
    """Run each set of scenes twice, print, write."""
    stack, found = fleet.stack(ROOT), {}
    every = tuple(sys.argv[1:]) or scene.scenes(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        copied(source)
        for names, bound_s in ((every, BOUND_ALL_S), ((stack.scene,), BOUND_DEFAULT_S)):
            layers = stack.layers if stack.scene in names else ()
            found["+".join(names)] = _told(names, bound_s, *(ran(source, names, layers) for _ in range(2)))
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "fleet_time.json").write_text(json.dumps(found, indent=2) + "\n")


def _told(names: tuple[str, ...], bound_s: float, first: Ran, second: Ran) -> list[dict[str, Any]]:
    """Print two runs of the same scenes; both as they are written."""
    print(f"{', '.join(names)}: {_words(first, bound_s)}; again {_words(second, bound_s)}")
    slow = sorted(first.stages.items(), key=lambda s: -s[1])[:SLOWEST]
    print(f"  slowest stages: {', '.join(f'{n} {s:.1f} s' for n, s in slow)}")
    apart = sorted(n for n in first.tables.keys() | second.tables.keys() if first.tables.get(n) != second.tables.get(n))
    same = f"equal byte for byte ({_sum(first)})" if not apart else f"DIFFERENT: {', '.join(apart)}"
    print(f"  {len(first.tables)} tables, {same}")
    return [first._asdict(), second._asdict()]


def ran(source: Path, names: tuple[str, ...], layers: tuple[str, ...]) -> Ran:
    """All fleet stages of scenes in a fresh copy of ``source``.

    Args:
        source: A checkout in which nothing ran.
        names: The scenes.
        layers: Whose sensitivity is computed, in the headline's scene.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(source, copy)
        target = " ".join([*(f"scene@{n}" for n in names), *(f"sensitivity@{x}" for x in layers)])
        before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "deltastack.cli", "run", "--target", target, "--json"],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy)},
            check=True,
            stdout=subprocess.PIPE,
        )
        wall_s, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_CHILDREN)
        stages: list[dict[str, Any]] = json.loads(done.stdout)["stages"]
        used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Ran(wall_s, used_s, {s["stage"]: s["seconds"] for s in stages}, _tables(copy / "data"))


def _tables(data: Path) -> dict[str, str]:
    paths = [p for name in TABLES for p in sorted((data / name).rglob("*")) if p.is_file()]
    return {str(p.relative_to(data)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def _sum(one: Ran) -> str:
    return hashlib.sha256(json.dumps(one.tables, sort_keys=True).encode()).hexdigest()[:16]


def _words(one: Ran, bound_s: float) -> str:
    met = "met" if one.wall_s <= bound_s else "MISSED"
    return f"{one.wall_s:.0f} s (bound {bound_s:g} s: {met}), {one.processor_s:.0f} processor seconds, {len(one.stages)} stages"


if __name__ == "__main__":
    main()
