"""Stage ``estimate``: every layer in a scene, each technique alone and all together, as data/delta/estimated/SCENE/LAYER.parquet.

Beside it LAYER.json says in words what each technique did, which did not hold here and has no row, and which misses the
latency goals at the trace's own arrivals; data/quality/estimated/SCENE/LAYER.parquet what others published of the answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack import layers
from deltastack.contracts import DELTA, QUALITY
from deltastack.evaluation import fleet_estimates, published_quality
from tasks import fleet, stage_runner

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.evaluation.fleet_runner import FleetRunner


def run(root: Path, scene: str) -> None:
    """Write the Δ table of every layer in ``scene``, and what is known of its answers."""
    at = fleet.fleet_runner(root, scene, "estimate")
    for name in fleet.stack(root).layers:
        _estimate(root, at, scene, name)


def _estimate(root: Path, at: FleetRunner, scene: str, layer: str) -> None:
    which = layers.layer(layer)
    rows, refused, missed = fleet_estimates.delta_rows(at, which)
    folder = root / "data" / "delta" / "estimated" / scene
    DELTA.write(DELTA.frame(rows), folder / f"{layer}.parquet")
    bad = {one.technique for one in refused}
    held = [t for t in at.chosen(which) if t.on_fleet and t.name not in bad]
    quality = published_quality.technique_rows(layer, held, canonical=at.canonical)
    path = root / "data" / "quality" / "estimated" / scene / f"{layer}.parquet"
    QUALITY.write(QUALITY.frame([(*row, scene) for row in quality]), path)
    words = {
        t.name: {"on": t.on, "evidence": t.evidence, "notes": dict(at.deployment(0, (t,)).notes), "seen": at.seen(0, (t,))}
        for t in held
    }
    fleet.tell(folder / f"{layer}.json", {"scene": scene, "layer": layer, "techniques": words}, refused, missed)


if __name__ == "__main__":
    stage_runner.main("estimate", run)
