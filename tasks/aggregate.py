"""Stage ``aggregate``: formulas against the observed joint result; data/total.parquet, metrics.json, the page, the figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from deltastack import layers, params
from deltastack.analysis import slo
from deltastack.analysis.analysis import Analysis, compute
from deltastack.analysis.base_usage import with_measured
from deltastack.analysis.scenes import lines
from deltastack.contracts import DELTA, JOINT, QUALITY, TOTAL, USAGE, atomic
from deltastack.errors import EvidenceError
from deltastack.model import NO_SCENE, Bench
from deltastack.report import metrics, wording
from deltastack.stack import Stack
from tasks import outbox, scenes, stage_runner, write_report

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

KINDS = {Bench.FLEET: "estimated/{scene}", Bench.TESTBED: "measured", Bench.ENGINE: "engine"}
ENGINE = "data/joint/engine.json"


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
        quality_limit=write_report.view(root).quality_limit if (root / write_report.VIEW).is_file() else None,
        joint_budget_s=_joint_s(root),
    )


def run(root: Path) -> None:
    """Write the totals, the numbers, the words, the page and its figures; queue them for the tracking server."""
    analysis = load(root)
    said = wording(analysis, write_report.read_swings(root))
    said |= {"scenes": _scenes(root, analysis.stack.scene), "no_switch": _no_switch(root, analysis.stack.layers)}
    fleet = analysis.total["bench"] == str(Bench.FLEET)
    total = analysis.total.assign(scene=analysis.total["scene"].mask(fleet, analysis.stack.scene))
    TOTAL.write(total, root / "data/total.parquet")
    _json(root / "reports/metrics.json", metrics(analysis))
    _json(root / "reports/summary.json", said)
    write_report.write(root, analysis, said)
    outbox.put(root)


def _factorial(stack: Stack, bench: Bench) -> str:
    """The name of a bench's factorial: on the fleet, that of the headline's scene."""
    return stack.scene if bench is Bench.FLEET else str(bench)


def _scenes(root: Path, first: str) -> list[dict[str, Any]]:
    """What saves in each scene that was computed, one entry a scene and operating point, the headline's first."""
    return [
        line._asdict() | {"layers": {name: cell._asdict() for name, cell in line.layers.items()}, "joint": line.joint._asdict()}
        for line in lines(scenes.shown(root, first))
    ]


def _joint_s(root: Path) -> dict[str, float]:
    """Seconds that each budget has for the measured factorial; empty in results that came without them."""
    path = root / "params/testbed.yaml"
    budgets = params.read_yaml(path)["measuring"]["budgets"] if path.is_file() else {}
    return {str(name): float(b["joint_s"]) for name, b in budgets.items()}


def _baseline(root: Path, scene: str, joint: Mapping[Bench, pd.DataFrame]) -> pd.DataFrame:
    """Usage with nothing switched: simulated, and measured where the factorial was."""
    found = USAGE.read(root / f"data/baseline/{scene}.parquet")
    for bench in (Bench.ENGINE, Bench.TESTBED):
        found = USAGE.check(with_measured(found, joint[bench])) if bench in joint else found
    return found


def _deltas(root: Path, stack: Stack) -> dict[str, pd.DataFrame]:
    found = {}
    for layer in stack.layers:
        for bench, folder in KINDS.items():
            path = root / "data/delta" / folder.format(scene=stack.scene) / f"{layer}.parquet"
            if path.is_file():
                found[f"{layer}/{bench}"] = DELTA.read(path)
    return found


def _enabled(root: Path, scene: str, deltas: Mapping[str, pd.DataFrame]) -> dict[str, dict[Bench, tuple[str, ...]]]:
    """The techniques that params/layers switches on, where the bench observed them; layers without a file are left out."""
    found: dict[str, dict[Bench, tuple[str, ...]]] = {}
    switched = scenes.switched_of(root, scene)
    for key, table in deltas.items():
        layer, bench = key.split("/")
        if bench == Bench.ENGINE:
            continue
        path, seen = root / f"params/layers/{layer}.yaml", set(table["technique"])
        choices = params.read_yaml(path)["techniques"] if path.is_file() else {}
        there = switched.get(layer, {})
        on = {n: there.get(n, c["on"]) if bench == Bench.FLEET else c.get("on_testbed", c["on"]) for n, c in choices.items()}
        if choices:
            found.setdefault(layer, {})[Bench(bench)] = tuple(n for n, is_on in on.items() if is_on and n in seen)
    told = outbox.read(root / ENGINE)
    for layer, names in told.get("techniques", {}).items():
        found.setdefault(layer, {})[Bench.ENGINE] = tuple(names)
    for layer in set(told.get("absent", {})) & set(found):
        found[layer][Bench.ENGINE] = (f"no switch, {told['absent'][layer]}",)
    return found


def _no_switch(root: Path, layers: tuple[str, ...]) -> list[str]:
    """How many blocks the engine's plan got, and one line a layer of the stack that it has no switch for, with the reason."""
    told = outbox.read(root / ENGINE)
    absent = told.get("absent", {})
    got = (
        [f"engine: {told['runs']} server starts in {told['blocks']} blocks; ended because {told['stopped']}"]
        if "runs" in told
        else []
    )
    return [*got, *(f"{layer}: {told['title']} has no switch for it: {absent[layer]}" for layer in layers if layer in absent)]


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


def _json(path: Path, value: dict[str, Any]) -> None:
    with atomic(path) as part:
        part.write_text(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    stage_runner.main("aggregate", run)
