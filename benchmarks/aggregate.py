"""Time of ``aggregate`` and calls of formulas, against the state before the analysis was computed once (commit f640ff5).

Both read the same planted tables, in turns and in processes of their own: five layers, a simulated bench (two operating points,
six resources, 20 draws) and a measured one (four resources, eight blocks with the base's A/A twin). Run from a checkout with
its history: ``python -m benchmarks.aggregate``.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

BEFORE = "f640ff5"
ROOT = Path(__file__).parents[1]
REPEATS = 3
LAYERS = ("storage", "chiplet", "pipeline", "instruction_set", "idle")
LEFT = dict(zip(LAYERS, (0.86, 1.01, 0.97, 0.77, 0.95), strict=True))
COMPONENTS = ("storage", "encoder", "attention", "ffn", "other")
FLEET = ("time_s", "energy_j", "memory_byte_s", "io_byte", "cost_usd", "carbon_g")
TESTBED = ("time_s", "energy_j", "memory_byte_s", "cpu_s")
CELLS = [frozenset(c) for c in chain.from_iterable(combinations(LAYERS, n) for n in range(len(LAYERS) + 1))]
PROGRAM = """
import json, sys, time
from pathlib import Path
from deltastack import composition, statistics
from deltastack.analysis_module import attribution
counts = {}
def counted(module, name):
    inner = getattr(module, name)
    def outer(*args, **kwargs):
        counts[name] = counts.get(name, 0) + 1
        return inner(*args, **kwargs)
    setattr(module, name, outer)
for n in ("independent", "additive", "by_component_amounts", "pairwise", "gap"):
    counted(composition, n)
for n in ("shares", "pairs"):
    counted(attribution, n)
from tasks import aggregate, results
from tasks import outbox
outbox.put = lambda root: None
import pandas as pd
from deltastack.contracts import JOINT, USAGE
root = Path(sys.argv[1])
for raw in sorted(root.glob("raw/**/*.parquet")):
    contract = USAGE if raw.stem == "baseline" else JOINT
    path = root / "data" / raw.relative_to(root / "raw")
    path.parent.mkdir(parents=True, exist_ok=True)
    contract.write(pd.read_parquet(raw), path)
start = time.perf_counter()
aggregate.run(root)
print(json.dumps({"seconds": time.perf_counter() - start, **counts}))
"""


def main() -> None:
    """Print the counts and the times of both, and the ratio of the medians."""
    with tempfile.TemporaryDirectory(prefix="deltastack-") as scratch:
        old = Path(scratch) / "code"
        _git("worktree", "add", "--detach", str(old), BEFORE)
        try:
            sides = {"before": (old, "report"), "now": (ROOT, "analysis")}
            tables = {name: _project(Path(scratch) / name, code, old=name == "before") for name, (code, _) in sides.items()}
            runs = [{n: _run(*sides[n], tables[n]) for n in sides} for _ in range(REPEATS)]
        finally:
            _git("worktree", "remove", "--force", str(old))
    seconds = {n: statistics.median(r[n]["seconds"] for r in runs) for n in sides}
    print(f"{'':24}{'before':>10}{'now':>10}")
    for name in [k for k in runs[0]["before"] if k != "seconds"]:
        print(f"{name:24}{runs[0]['before'][name]:10,.0f}{runs[0]['now'].get(name, 0):10,.0f}")
    ratio = seconds["now"] / seconds["before"]
    print(f"{'seconds (median of 3)':24}{seconds['before']:10.2f}{seconds['now']:10.2f}   ratio {ratio:.2f}")


def _git(*words: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True)  # noqa: S607 - git is on the path


def _run(code: Path, module: str, tables: Path) -> dict[str, float]:
    program = PROGRAM.replace("analysis_module", module)
    env = os.environ | {"PYTHONPATH": str(code)}
    command = [sys.executable, "-c", program, str(tables)]
    done = subprocess.run(command, cwd=code, env=env, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _project(root: Path, code: Path, *, old: bool) -> Path:
    """Parameters and planted tables, in the names of before or of now."""
    shutil.copytree(code / "params", root / "params")
    shutil.rmtree(root / "params/layers")
    for marker in ("pyproject.toml", "dvc.yaml"):
        (root / marker).write_text("")
    stack = {"layers": list(LAYERS), "tolerance": 0.02, "confidence": 0.95, "effort": "default", "layer_draws": {"default": 20}}
    (root / "params/stack.yaml").write_text(yaml.safe_dump(stack))
    fleet = pd.concat([_joint("fleet", b, FLEET, 20) for b in ("at_trace", "at_capacity")], ignore_index=True)
    testbed = _joint("testbed", "per_session", TESTBED, 8)
    (root / "raw/joint").mkdir(parents=True)
    (root / "data").mkdir()
    for name, table in (("fleet", fleet), ("testbed", testbed)):
        _named(table, old=old).to_parquet(root / f"raw/joint/{name}.parquet", index=False)
    base = fleet[fleet["cell"] == "base"].drop(columns=["cell", "block", "position"])
    _named(base, old=old).to_parquet(root / "raw/baseline.parquet", index=False)
    facts = {"words": "planted", "source": "planted", "dropped_rows": 0, "text_only_share": 0.5, "requests": 3}
    (root / "data/workload.json").write_text(json.dumps(facts))
    return root


def _named(table: pd.DataFrame, *, old: bool) -> pd.DataFrame:
    if not old:
        return table
    return table.rename(columns={"operating_point": "basis"}).replace({"cell": {"base@aa": "base@again"}})


def _joint(bench: str, point: str, resources: tuple[str, ...], samples: int) -> pd.DataFrame:
    """A factorial (contract JOINT) whose amounts are products of the layers' factors, with 2 % noise by sample."""
    rng, measured, rows = np.random.default_rng(len(point)), bench != "fleet", []
    twins = [("base@aa", frozenset())] if measured else []
    for position, (name, cell) in enumerate([("+".join(sorted(c)) or "base", c) for c in CELLS] + twins):
        left = float(np.prod([LEFT[n] for n in cell]))
        for s in range(samples):
            block, replicate = (s // 2, s % 2) if measured else (0, s)
            for component in COMPONENTS:
                for resource in resources:
                    amount = left * float(np.exp(rng.normal(0, 0.02)))
                    rows.append((name, bench, point, block, position, replicate, component, resource, amount))
    names = ["cell", "bench", "operating_point", "block", "position", "replicate", "component", "resource", "amount"]
    evidence = "measured" if measured else "simulated"
    table = pd.DataFrame(rows, columns=names).assign(evidence=evidence, reason=None, host="planted", canonical=True)
    texts = ["cell", "bench", "operating_point", "component", "resource", "evidence", "reason", "host"]
    return table.astype(dict.fromkeys(texts, "string"))


if __name__ == "__main__":
    main()
