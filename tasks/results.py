"""The results of a checkout: its tables read, and what follows from them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from deltastack import layers, params
from deltastack.analysis import slo
from deltastack.analysis.analysis import Analysis, compute
from deltastack.analysis.base_usage import with_measured
from deltastack.analysis.sample_size import Pace
from deltastack.contracts import DELTA, JOINT, QUALITY, USAGE
from deltastack.errors import EvidenceError
from deltastack.layers import techniques
from deltastack.model import NO_SCENE, Bench, Switches
from deltastack.report.context import View
from deltastack.stack import Stack
from tasks import occasions, outbox, scenes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

VIEW = "params/report.yaml"
LONG_S = {
    Bench.TESTBED: ("params/testbed.yaml", ("measuring", "budgets", "long", "joint_s")),
    Bench.ENGINE: ("params/engine.yaml", ("budget_s", "long")),
}
"""Where the seconds stand that a long run of a bench's factorial has."""


def load(root: Path) -> Analysis:
    """The tables of this checkout, and what follows from them.

    Raises:
        ContractError: A table that breaks its contract.
        EvidenceError: No joint table at all, or no full factorial.
        UnknownNameError: A layer of params/stack.yaml that does not exist.
    """
    stack = params.load(root / "params" / "stack.yaml", Stack)
    for name in stack.layers:
        layers.layer(name)
    deltas = _deltas(root, stack)
    joint = {b: JOINT.read(p) for b in Bench if (p := root / f"data/joint/{_factorial(stack, b)}.parquet").is_file()}
    if not joint:
        raise EvidenceError("no joint table in data/joint: run `deltastack run`, or `dvc repro`")
    return compute(
        stack=stack,
        workload=json.loads((root / "data/workload.json").read_text()),
        baseline=_baseline(root, stack.scene, joint),
        deltas=deltas,
        joint=joint,
        quality_table=_quality(root, stack.scene),
        deployment_text=_deployment_text(root, stack.scene),
        enabled_techniques=_enabled(root, stack.scene, deltas),
        slo_violations=_slo_violations(root, stack),
        quality_limit=view(root).quality_limit if (root / VIEW).is_file() else None,
        paces=_paces(root),
        measured_at=occasions.read(root, stack.runs_kept),
        mechanisms={b: outbox.read(root / f"data/joint/{b}.json").get("mechanisms", {}) for b in Bench if not b.facts.simulated},
    )


def view(root: Path) -> View:
    """What the page is asked to show.

    Raises:
        ParamsError: params/report.yaml does not hold.
    """
    return params.load(root / VIEW, View)


def _factorial(stack: Stack, bench: Bench) -> str:
    """The name of a bench's factorial: where it is simulated, that of the headline's scene."""
    return stack.scene if bench.facts.simulated else str(bench)


def _paces(root: Path) -> dict[Bench, Pace]:
    """How long each measured factorial takes and may take; nothing of a bench in results that came without its parameters."""
    found = {}
    for bench, (file, keys) in LONG_S.items():
        if (root / file).is_file():
            long_s: Any = params.read_yaml(root / file)
            for key in keys:
                long_s = long_s[key]
            found[bench] = Pace(outbox.read(root / f"data/joint/{bench}.json").get("block_s"), float(long_s))
    return found


def _baseline(root: Path, scene: str, joint: Mapping[Bench, pd.DataFrame]) -> pd.DataFrame:
    """Usage with nothing switched: simulated, and measured where the factorial was."""
    found = USAGE.read(root / f"data/baseline/{scene}.parquet")
    for bench in sorted(b for b in joint if not b.facts.simulated):
        found = USAGE.check(with_measured(found, joint[bench]))
    return found


def _deltas(root: Path, stack: Stack) -> dict[str, pd.DataFrame]:
    found = {}
    for layer in stack.layers:
        for bench in Bench:
            path = root / "data/delta" / bench.facts.deltas.format(scene=stack.scene) / f"{layer}.parquet"
            if path.is_file():
                found[f"{layer}/{bench}"] = DELTA.read(path)
    return found


def _enabled(root: Path, scene: str, deltas: Mapping[str, pd.DataFrame]) -> dict[str, dict[Bench, tuple[str, ...]]]:
    """The techniques that params/layers switches on, where the bench observed them; layers without a file are left out."""
    found: dict[str, dict[Bench, tuple[str, ...]]] = {}
    switched = scenes.switched_of(root, scene)
    for key, table in deltas.items():
        layer, name = key.split("/")
        bench = Bench(name)
        if bench.facts.switches is Switches.OWN:
            continue
        known, seen = layers.LAYERS.get(layer), set(table["technique"])
        choices = techniques.read(root, known)["techniques"] if known and techniques.values_file(root, known).is_file() else {}
        there = switched.get(layer, {}) if bench.facts.simulated else {}
        on = {n: there.get(n, c.get(bench.facts.switches, c["on"])) for n, c in choices.items()}
        if choices:
            found.setdefault(layer, {})[bench] = tuple(n for n, is_on in on.items() if is_on and n in seen)
    for bench in (b for b in Bench if b.facts.switches is Switches.OWN):
        told = outbox.read(root / f"data/joint/{bench}.json")
        for layer, names in told.get("techniques", {}).items():
            found.setdefault(layer, {})[bench] = tuple(names)
        for layer in set(told.get("absent", {})) & set(found):
            found[layer][bench] = (no_switch(root, told["absent"][layer]),)
    return found


def no_switch(root: Path, why: str) -> str:
    """That an engine has no switch for a layer, why, and which bench has its row.

    >>> from pathlib import Path
    >>> no_switch(Path("no checkout"), "it never sleeps")
    'no switch (it never sleeps); `make run TESTBED=1` brings the row'
    """
    there = (root / f"data/joint/{Bench.TESTBED}.parquet").is_file()
    return f"no switch ({why}); {'the testbed has the row' if there else '`make run TESTBED=1` brings the row'}"


def absent(root: Path, reasons: Mapping[str, str]) -> dict[str, str]:
    """Why an engine has no switch, by layer and, of a layer of the stack, which bench has its row."""
    stack = params.load(root / "params" / "stack.yaml", Stack)
    return {layer: no_switch(root, why) if layer in stack.layers else f"no switch ({why})" for layer, why in reasons.items()}


def _deployment_text(root: Path, scene: str) -> str | None:
    """What the fleet serves with nothing switched, in words; None without params/fleet.yaml."""
    path = root / "params/fleet.yaml"
    if not path.is_file():
        return None
    d = params.read_yaml(path).get("deployment", {}) | scenes.deployed(root, scene)
    count = d.get("replicas", 1)
    return f"{d.get('model')} in {d.get('precision')} on {count} {'replicas' if count > 1 else 'replica'} of {d.get('platform')}"


def _quality(root: Path, scene: str) -> pd.DataFrame | None:
    """Every quality table below data/quality that is of the benches or of the scene, as one; None where there is none."""
    import pandas as pd

    tables = [QUALITY.read(p) for p in sorted((root / "data/quality").rglob("*.parquet"))]
    tables = [t for t in tables if len(t) and set(t["scene"]) <= {scene, NO_SCENE}]
    return pd.concat(tables, ignore_index=True) if tables else None


def _slo_violations(root: Path, stack: Stack) -> list[slo.SloViolation]:
    """Cells and techniques that violate the SLOs, from the JSON beside the simulated tables.

    Raises:
        EvidenceError: Entries of another form.
    """
    path = root / f"data/joint/{stack.scene}.json"
    found = [*slo.violations(json.loads(path.read_text()), Bench.FLEET, path.name)] if path.is_file() else []
    for layer in stack.layers:
        path = root / f"data/delta/estimated/{stack.scene}/{layer}.json"
        if path.is_file():
            found += slo.violations(json.loads(path.read_text()), Bench.FLEET, path.name, layer)
    return found
