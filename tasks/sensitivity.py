"""Stage ``sensitivity``: which parameter a layer's saving hangs on in the headline's scene, as data/sensitivity/LAYER.json.

The report's tornado is drawn from it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from deltastack import layers
from deltastack.contracts import atomic
from deltastack.evaluation import sensitivity
from tasks import fleet, stage_runner

if TYPE_CHECKING:
    from pathlib import Path


def run(root: Path, layer: str) -> None:
    """Write the swings of ``layer``; a quick run writes none."""
    at = fleet.fleet_runner(root, fleet.stack(root).scene)
    at = replace(at, requests=sensitivity.window(at.requests), draws=1, central_arrivals=1)
    found = sensitivity.swings(at, layers.layer(layer)) if at.canonical else []
    with atomic(root / "data" / "sensitivity" / f"{layer}.json") as part:
        rows = [one._asdict() for one in found]
        part.write_text(json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    stage_runner.main("sensitivity", run)
