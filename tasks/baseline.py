"""Stage ``baseline``: usage with nothing switched, on both bases and for every draw, as data/baseline/SCENE.parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack import machine_fingerprint
from deltastack.contracts import USAGE
from deltastack.model import Bench
from tasks import fleet, stage_runner

if TYPE_CHECKING:
    from pathlib import Path


def run(root: Path, scene: str) -> None:
    """Write the baseline of a scene."""
    at = fleet.fleet_runner(root, scene)
    rows = [
        (
            Bench.FLEET,
            operating_point,
            draw,
            r.component,
            r.resource,
            r.amount,
            r.evidence,
            r.reason,
            machine_fingerprint.SIMULATED,
            at.canonical,
            scene,
        )
        for draw in range(at.draws)
        for operating_point, usage in at.usage(draw, ()).items()
        for r in usage
    ]
    USAGE.write(USAGE.frame(rows), root / "data" / "baseline" / f"{scene}.parquet")


if __name__ == "__main__":
    stage_runner.main("baseline", run)
