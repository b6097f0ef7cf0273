"""A checkout with finished tables, small and planted, for the commands that read them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import yaml

from deltastack.contracts import DELTA, JOINT, USAGE
from deltastack.model import Bench, Component, Evidence, OperatingPoint, Resource
from tests.report.synthetic import BASE, joint

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
LAYERS = {"storage": dict.fromkeys(Component, 0.8), "idle": {Component.ENCODER: 0.5}}


def finished(
    root: Path,
    layers: Mapping[str, Mapping[Component, float]] = LAYERS,
    interactions: Mapping[tuple[str, str], float] | None = None,
    **stack: object,
) -> Path:
    """Write params and tables of a fleet factorial at capacity into ``root`` and return it."""
    (root / "params").mkdir(parents=True)
    for name in ("claims.yaml", "published_compositions.yaml", "report.yaml"):
        shutil.copy(ROOT / "params" / name, root / "params" / name)
    values = {
        "layers": list(layers),
        "tolerance": 0.02,
        "confidence": 0.95,
        "effort": "default",
        "layer_draws": {"default": 8},
    } | stack
    (root / "params/stack.yaml").write_text(yaml.safe_dump(values))
    for marker in ("pyproject.toml", "dvc.yaml"):
        (root / marker).write_text("")
    facts = {"words": "3 requests over 6.2 s", "source": "a test", "dropped_rows": 0, "text_only_share": 0.5, "requests": 3}
    (root / "data").mkdir()
    (root / "data/workload.json").write_text(json.dumps(facts))
    at_trace = joint(layers, interactions, sd_log=0.05, samples=8)
    both = pd.concat([at_trace, at_trace.assign(operating_point=str(OperatingPoint.AT_CAPACITY))], ignore_index=True)
    JOINT.write(both, root / "data/joint/assistant.parquet")
    rows = [
        (Bench.FLEET, b, 0, c, Resource.ENERGY_J, v, Evidence.SIMULATED, None, "host", True)
        for b in (OperatingPoint.AT_TRACE, OperatingPoint.AT_CAPACITY)
        for c, v in BASE.items()
    ]
    USAGE.write(USAGE.frame(rows), root / "data/baseline/assistant.parquet")
    for layer, factors in layers.items():
        _delta(layer, factors).pipe(DELTA.write, root / f"data/delta/estimated/assistant/{layer}.parquet")
    return root


def _delta(layer: str, factors: Mapping[Component, float]) -> pd.DataFrame:
    rows = []
    for c, v in BASE.items():
        head = (layer, "all", Bench.FLEET, OperatingPoint.AT_CAPACITY, 0, c, Resource.ENERGY_J)
        rows.append((*head, v, v * factors.get(c, 1.0), Evidence.SIMULATED, None, "host", True))
    return DELTA.frame(rows)
