"""Stage ``baseline``: usage with nothing switched, on both bases and for every draw, as data/baseline/SCENE.parquet.

It simulates all other cells of the scene as well, in one go, and keeps them where the stages after it look first: cells of one
draw share most of their simulations, and only one process can see that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack import layers, machine_fingerprint
from deltastack.contracts import USAGE
from deltastack.errors import CapacityError
from deltastack.evaluation import fleet_estimates
from deltastack.evaluation.fleet_estimates import BASE
from deltastack.evaluation.fleet_runner import Cell
from deltastack.model import Bench
from tasks import fleet, stage_runner

if TYPE_CHECKING:
    from pathlib import Path


def run(root: Path, scene: str) -> None:
    """Write the baseline of a scene.

    Raises:
        CapacityError: The base does not hold.
    """
    stack, at = fleet.stack(root), fleet.fleet_runner(root, scene, "baseline")
    at.check()
    found = at.usages([(draw, Cell(BASE, ())) for draw in range(at.draws)])
    if reason := next((one for one in found if isinstance(one, str)), None):
        raise CapacityError(f"{scene}: {reason}")
    fleet_estimates.simulate_all(at, [layers.layer(name) for name in stack.layers], stack.cells)
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
        for draw, one in enumerate(found)
        if not isinstance(one, str)
        for operating_point, usage in one.items()
        for r in usage
    ]
    USAGE.write(USAGE.frame(rows), root / "data" / "baseline" / f"{scene}.parquet")


if __name__ == "__main__":
    stage_runner.main("baseline", run)
