"""Stage ``scene``: what saves in a scene, alone and together, as data/scene/NAME.parquet; other scenes' tables on the page.

Results of scenes that the headline is not about stand in data/scenes, where ``show`` puts them and ``aggregate`` reads them:
so the default run computes one scene, and shows all that are there.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from deltastack.analysis.analysis import compute
from deltastack.analysis.scenes import scene_rows
from deltastack.contracts import DELTA, JOINT, SCENES, USAGE, atomic
from deltastack.fleet import scene
from deltastack.layers import LAYERS, techniques
from deltastack.model import Bench
from tasks import fleet, stage_runner

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

SHOWN = "data/scenes"


def run(root: Path, name: str) -> None:
    """Write the table of one scene."""
    stack = fleet.stack(root)
    deltas = [DELTA.read(root / f"data/delta/estimated/{name}/{layer}.parquet") for layer in stack.layers]
    total = compute(
        stack=stack,
        workload={},
        baseline=USAGE.frame([]),
        deltas={},
        joint={Bench.FLEET: JOINT.read(root / f"data/joint/{name}.parquet")},
    ).total
    SCENES.write(SCENES.frame(scene_rows(name, deltas, total, on(root, name, stack.layers))), root / f"data/scene/{name}.parquet")


def on(root: Path, name: str, layers: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """By layer, the techniques that a scene has on."""
    switched = switched_of(root, name)
    found = {}
    for layer in layers:
        choices = techniques.read(root, LAYERS[layer])["techniques"]
        found[layer] = tuple(t for t, c in choices.items() if switched.get(layer, {}).get(t, c["on"]))
    return found


def switched_of(root: Path, name: str) -> dict[str, dict[str, bool]]:
    """By layer and technique, what a scene switches on or off otherwise than params/layers; empty where there is no scene."""
    if name not in scene.scenes(root):
        return {}
    found = scene.load(root, name)
    return {x: {t: c.on for t, c in changes.items() if c.on is not None} for x, changes in found.layers.items()}


def deployed(root: Path, name: str) -> dict[str, object]:
    """Values of the deployment in which a scene differs from params/fleet.yaml; empty where there is no scene."""
    return dict(scene.load(root, name).fleet.get("deployment", {})) if name in scene.scenes(root) else {}


def show(root: Path, names: tuple[str, ...]) -> None:
    """Put the tables of ``names`` where the page finds them."""
    for name in names:
        with atomic(root / SHOWN / f"{name}.parquet") as part:
            shutil.copyfile(root / f"data/scene/{name}.parquet", part)


def shown(root: Path, first: str) -> list[pd.DataFrame]:
    """The tables of all scenes that are there, that of ``first`` (its own, not the copy) before the others.

    Raises:
        ContractError: A table that breaks its contract.
    """
    paths = [root / f"data/scene/{first}.parquet"]
    paths += [p for p in sorted((root / SHOWN).glob("*.parquet")) if p.stem != first]
    return [SCENES.read(p) for p in paths if p.is_file()]


if __name__ == "__main__":
    stage_runner.main("scene", run)
