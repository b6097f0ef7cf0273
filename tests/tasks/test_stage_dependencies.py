"""dvc.yaml names the code that each stage runs, and so does the key of the simulated cells' checkpoint."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml

from tasks import fleet

ROOT = Path(__file__).parents[2]
GRAPH: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
MODULES = {name: f"tasks.{'scenes' if name == 'scene' else name}" for name in GRAPH}
NO_NUMBER = {"deltastack", "deltastack.errors", "deltastack.home", "tasks.stage_runner", "tasks.testbed_tables"}
"""Modules that decide no number: the package, errors, where the checkout lies, a stage's lock, what of the testbed is there."""
OTHER_BENCHES = {
    "fleet": ("tasks.engine", "tasks.testbed", "deltastack.engine", "deltastack.evaluation.testbed_cells", "deltastack.testbed"),
    "testbed": (
        *("tasks.engine", "tasks.fleet", "deltastack.engine", "deltastack.fleet"),
        *("deltastack.evaluation.fleet_estimates", "deltastack.evaluation.fleet_runner"),
        *("deltastack.evaluation.published_quality", "deltastack.evaluation.cell_checkpoint"),
    ),
    "engine": (
        *("deltastack.engine.vllm_cpu", "deltastack.fleet", "deltastack.evaluation", "deltastack.layers"),
        *("deltastack.analysis", "deltastack.composition", "deltastack.workload"),
    ),
}
"""By bench, what a stage imports and does not call: a layer holds its effect on every bench; the engine's commands print."""
BENCH_OF = {"checkpoint": "testbed", "measure": "testbed", "engine": "engine", "workload": "fleet"} | dict.fromkeys(
    ("operators", "baseline", "estimate", "sensitivity", "scene", "aggregate"), "fleet"
)
STAGES = [(name, bench) for name in GRAPH for bench in (("fleet", "testbed") if name == "joint" else (BENCH_OF[name],))]


@cache
def imports() -> grimp.ImportGraph:
    """The import graph of the project, with imports inside functions and without those for types alone."""
    return grimp.build_graph("deltastack", "tasks", "flows", exclude_type_checking_imports=True, cache_dir=None)


def called(module: str, bench: str) -> set[str]:
    """Modules that ``module`` imports, directly or through others, where the work is that of ``bench``."""
    skipped = OTHER_BENCHES[bench]
    found, waiting = {module}, [module]
    while waiting:
        new = imports().find_modules_directly_imported_by(waiting.pop()) - found
        new = {m for m in new if not m.startswith(tuple(f"{s}." for s in skipped)) and m not in skipped}
        found |= new
        waiting += new
    return found - NO_NUMBER


def missing(modules: set[str], places: list[str]) -> list[str]:
    """Files of ``modules`` that lie in none of ``places``."""
    paths = [m.replace(".", "/") for m in modules]
    files = [f"{p}.py" if (ROOT / f"{p}.py").is_file() else f"{p}/__init__.py" for p in paths]
    return sorted(f for f in files if not any(f == p or f.startswith(f"{p}/") for p in places))


@pytest.mark.parametrize(("stage", "bench"), STAGES)
def test_a_stage_depends_on_the_code_that_it_runs(stage: str, bench: str) -> None:
    """If you are here because this failed: add the listed files, or their folder, to the stage's deps in dvc.yaml."""
    declared = GRAPH[stage].get("do", GRAPH[stage])["deps"]
    places = [str(d).replace("${item.bench}", bench) for d in declared]

    assert missing(called(MODULES[stage], bench), places) == []


def test_the_key_of_kept_cells_covers_the_code_that_simulates_them() -> None:
    """If you are here because this failed: add the listed files, or their folder, to CODE in tasks/fleet.py."""
    simulated = {m for m in called("deltastack.evaluation.fleet_estimates", "fleet") if m.startswith("deltastack.")}

    assert missing(simulated, [f"deltastack/{c}" for c in fleet.CODE]) == []


def test_a_missing_dependency_is_found() -> None:
    """A stage whose deps leave out the statistics is told which files are missing."""
    found = missing(called("tasks.estimate", "fleet"), ["tasks", "deltastack/fleet"])

    assert "deltastack/statistics/__init__.py" in found
