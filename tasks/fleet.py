"""What the stages of the fleet bench share: the workbench of this checkout, and the account of what did not hold."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import deltastack
from deltastack import layers, params
from deltastack.contracts import atomic
from deltastack.evaluation.cell_checkpoint import Kept
from deltastack.evaluation.fleet_runner import FleetRunner
from deltastack.fleet import executor
from deltastack.fleet import scene as scenes
from deltastack.fleet.trace_arrays import requests
from deltastack.stack import Stack
from deltastack.workload import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.evaluation.fleet_runner import Refused
    from deltastack.evaluation.slo_check import Missed
    from deltastack.fleet.scene import Scene

log = logging.getLogger("deltastack.tasks")
CODE = (
    *("fleet", "layers", "evaluation", "contracts", "statistics", "composition/domain.py"),
    *("machine_fingerprint.py", "model.py", "outcomes.py", "params.py", "strict_yaml.py"),
)
"""What of the domain decides a simulated cell."""
LEDGER = "cells-{scene}-"
INPUTS = ("data/workload.parquet", "params/workload.yaml", "params/fleet.yaml", "params/layers", "params/platforms")
"""Files and folders of a checkout on which simulated cells depend, beside the code and the scene."""


def stack(root: Path) -> Stack:
    """params/stack.yaml.

    Raises:
        ParamsError: It does not hold.
    """
    return params.load(root / "params" / "stack.yaml", Stack)


def fleet_runner(root: Path, name: str, stage: str = "") -> FleetRunner:
    """A scene with the draws of this checkout's effort.

    Args:
        root: The checkout.
        name: The scene's.
        stage: Which keeps its cells on disk, and takes those of other stages from there; none: nothing is kept.

    Raises:
        UnknownNameError: No such scene.
        ContractError: No workload, or a broken one.
        ParamsError: The scene does not hold.
    """
    chosen = stack(root)
    served = scene(root, name)
    frame = served.workload.frame(root, settings.load(root))
    return FleetRunner(
        root=root,
        requests=requests(frame),
        draws=chosen.draws,
        canonical=chosen.canonical,
        scene=served,
        executor=executor.chosen(root, chosen.executor),
        kept=kept(root, name, stage, (*INPUTS, served.file)) if stage else None,
    )


def scene(root: Path, name: str) -> Scene:
    """One scene; its layers are among those that there are.

    Raises:
        UnknownNameError: No such scene.
        ParamsError: It does not hold.
    """
    return scenes.load(root, name, tuple(layers.LAYERS))


def kept(root: Path, name: str, stage: str, inputs: Sequence[str]) -> Kept:
    """The cells that all stages of a scene have simulated, if nothing that they depend on has changed since.

    Args:
        root: The checkout.
        name: The scene.
        stage: Whose own file is written to.
        inputs: Files and folders below the checkout that the cells depend on, beside the code.
    """
    ledger = LEDGER.format(scene=name)
    digest = hashlib.sha256(f"{platform.python_version()} {version('numpy')} {version('numba')}".encode())
    code = Path(deltastack.__file__).parent
    for start in (*(root / name for name in inputs), *(code / name for name in CODE)):
        for path in sorted(p for p in (start, *start.rglob("*")) if p.is_file() and "__pycache__" not in p.parts):
            digest.update(f"{path.relative_to(start.parent)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
    key, folder = digest.hexdigest()[:20], root / ".run" / "ledgers"
    for stale in folder.glob(f"{ledger}*.jsonl"):
        if not stale.stem.endswith(key):
            stale.unlink(missing_ok=True)
    own = folder / f"{ledger}{stage}-{key}.jsonl"
    found = Kept(own, key, sorted(set(folder.glob(f"{ledger}*-{key}.jsonl")) - {own}))
    if len(found):
        log.info("%d cells are there from earlier stages or a run that was cut", len(found))
    return found


def tell(path: Path, facts: dict[str, Any], refused: list[Refused], missed: list[Missed]) -> None:
    """Write ``facts``, what did not hold and what is late beside a table, and say the last two."""
    for one in refused:
        log.warning("%s/%s does not hold here and has no row: %s", one.layer, one.technique, one.reason)
    for late in missed:
        log.warning(
            "%s misses the latency goals %s in %d of %d draws: %s",
            late.cell,
            late.operating_point,
            late.draws,
            late.of,
            late.words,
        )
    with atomic(path) as part:
        words = facts | {"refused": [one._asdict() for one in refused], "goals": [late._asdict() for late in missed]}
        part.write_text(json.dumps(words, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
