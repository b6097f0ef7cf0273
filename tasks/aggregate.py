"""Stage ``aggregate``: formulas against the observed joint result; data/total.parquet, metrics.json, the page, the figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from deltastack import layers, params
from deltastack.analysis import slo
from deltastack.analysis.analysis import Analysis, compute
from deltastack.analysis.base_usage import with_measured
from deltastack.analysis.results import Stack
from deltastack.contracts import DELTA, JOINT, QUALITY, TOTAL, USAGE, atomic
from deltastack.errors import EvidenceError
from deltastack.model import Bench
from deltastack.report import metrics, wording
from tasks import outbox, stage_runner, write_report

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

KINDS = {"estimated": Bench.FLEET, "measured": Bench.TESTBED}


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
    deltas = _deltas(root, stack.layers)
    joint = {b: JOINT.read(p) for b in Bench if (p := root / f"data/joint/{b}.parquet").is_file()}
    if not joint:
        raise EvidenceError("no joint table in data/joint: run `deltastack run`, or `dvc repro`")
    return compute(
        stack=stack,
        workload=json.loads((root / "data/workload.json").read_text()),
        baseline=_baseline(root, joint),
        deltas=deltas,
        joint=joint,
        quality_table=_quality(root),
        deployment_text=_deployment_text(root),
        enabled_techniques=_enabled(root, deltas),
        slo_violations=_slo_violations(root, stack.layers),
        quality_limit=write_report.view(root).quality_limit if (root / write_report.VIEW).is_file() else None,
        joint_budget_s=_joint_s(root),
    )


def run(root: Path) -> None:
    """Write the totals, the numbers, the words, the page and its figures; queue them for the tracking server."""
    analysis = load(root)
    said = wording(analysis)
    TOTAL.write(analysis.total, root / "data/total.parquet")
    _json(root / "reports/metrics.json", metrics(analysis))
    _json(root / "reports/summary.json", said)
    write_report.write(root, analysis, said)
    outbox.put(root)


def _joint_s(root: Path) -> dict[str, float]:
    """Seconds that each budget has for the measured factorial; empty in results that came without them."""
    path = root / "params/testbed.yaml"
    budgets = params.read_yaml(path)["measuring"]["budgets"] if path.is_file() else {}
    return {str(name): float(b["joint_s"]) for name, b in budgets.items()}


def _baseline(root: Path, joint: Mapping[Bench, pd.DataFrame]) -> pd.DataFrame:
    """Usage with nothing switched: simulated, and measured where the factorial was."""
    simulated = USAGE.read(root / "data/baseline.parquet")
    return USAGE.check(with_measured(simulated, joint[Bench.TESTBED])) if Bench.TESTBED in joint else simulated


def _deltas(root: Path, layers: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    found = {}
    for layer in layers:
        for kind, bench in KINDS.items():
            path = root / "data/delta" / kind / f"{layer}.parquet"
            if path.is_file():
                found[f"{layer}/{bench}"] = DELTA.read(path)
    return found


def _enabled(root: Path, deltas: Mapping[str, pd.DataFrame]) -> dict[str, dict[Bench, tuple[str, ...]]]:
    """The techniques that params/layers switches on, where the bench observed them; layers without a file are left out."""
    found: dict[str, dict[Bench, tuple[str, ...]]] = {}
    for key, table in deltas.items():
        layer, bench = key.split("/")
        path, seen = root / f"params/layers/{layer}.yaml", set(table["technique"])
        choices = params.read_yaml(path)["techniques"] if path.is_file() else {}
        on = {n: c["on"] if bench == Bench.FLEET else c.get("on_testbed", c["on"]) for n, c in choices.items()}
        if choices:
            found.setdefault(layer, {})[Bench(bench)] = tuple(n for n, is_on in on.items() if is_on and n in seen)
    return found


def _deployment_text(root: Path) -> str | None:
    """What the fleet serves with nothing switched, in words; None without params/fleet.yaml."""
    path = root / "params/fleet.yaml"
    if not path.is_file():
        return None
    d = params.read_yaml(path).get("deployment", {})
    count = d.get("replicas", 1)
    return f"{d.get('model')} in {d.get('precision')} on {count} {'replicas' if count > 1 else 'replica'} of {d.get('platform')}"


def _quality(root: Path) -> pd.DataFrame | None:
    """Every quality table below data/quality, as one; None where there is none."""
    import pandas as pd

    tables = [QUALITY.read(p) for p in sorted((root / "data/quality").rglob("*.parquet"))]
    tables = [t for t in tables if len(t)]
    return pd.concat(tables, ignore_index=True) if tables else None


def _slo_violations(root: Path, layers: tuple[str, ...]) -> list[slo.SloViolation]:
    """Cells and techniques that violate the SLOs, from the JSON beside the simulated tables.

    Raises:
        EvidenceError: Entries of another form.
    """
    path = root / f"data/joint/{Bench.FLEET}.json"
    found = [*slo.violations(json.loads(path.read_text()), Bench.FLEET, path.name)] if path.is_file() else []
    for layer in layers:
        path = root / f"data/delta/estimated/{layer}.json"
        if path.is_file():
            found += slo.violations(json.loads(path.read_text()), Bench.FLEET, path.name, layer)
    return found


def _json(path: Path, value: dict[str, Any]) -> None:
    with atomic(path) as part:
        part.write_text(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    stage_runner.main("aggregate", run)
