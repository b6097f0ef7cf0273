"""Stage ``operators``: the operator times of a scene's model and platform, as data/operators/SCENE/*.npz.

``python -m tasks.operators --build`` makes the shipped snapshots anew from aiconfigurator-core (extra ``operators``).
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from deltastack.fleet import settings
from deltastack.fleet.operators import load_tables, snapshot
from deltastack.fleet.operators.catalogue import SNAPSHOTS, Known
from tasks import fleet, stage_runner

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("deltastack.tasks")
VISION = tuple(f"Qwen/Qwen3-VL-{size}-Instruct" for size in ("2B", "4B", "8B", "32B"))
MIXTURE, SMALL_MIXTURE = "Qwen/Qwen3-VL-235B-A22B-Instruct", "Qwen/Qwen3-VL-30B-A3B-Instruct"
HOPPER, BLACKWELL, ADA = ("h100_sxm", "h200_sxm"), "b200_sxm", "l40s"


def shipped() -> tuple[Known, ...]:
    """Every combination that ships as a snapshot."""
    vision = [Known(m, p, q, 1) for m in VISION for p in (*HOPPER, BLACKWELL, ADA) for q in ("bf16", "fp8")]
    vision += [Known(m, BLACKWELL, "nvfp4", 1) for m in VISION]
    vision += [Known(VISION[-1], p, q, 2) for p in (*HOPPER, ADA) for q in ("bf16", "fp8")]
    text = [Known(f"Qwen/Qwen3-{s}", "h100_sxm", "bf16", 1) for s in ("8B", "14B", "32B")]
    text += [Known("Qwen/Qwen3-32B", "h100_sxm", "bf16", 2), Known("meta-llama/Llama-3.1-8B-Instruct", "h100_sxm", "bf16", 1)]
    text += [Known(f"meta-llama/Llama-{v}-70B-Instruct", "h100_sxm", "bf16", 4) for v in ("3.1", "3.3")]
    pairs = [Known("meta-llama/Llama-3.1-70B-Instruct", BLACKWELL, q, n) for q in ("fp8", "nvfp4") for n in (1, 2, 4, 8)]
    experts = [Known(MIXTURE, "h200_sxm", q, 1) for q in ("bf16", "fp8")] + [Known(SMALL_MIXTURE, "gb200", "bf16", 1)]
    return (*vision, *text, *pairs, *experts)


def build(root: Path) -> None:
    """Make every shipped snapshot that is not there; remove the folder's files to make them anew."""
    from deltastack.errors import EvidenceError
    from deltastack.fleet.operators.aiconfigurator import build as tabulate

    del root
    for wanted in shipped():
        if (SNAPSHOTS / snapshot.name(*wanted)).is_file():
            continue
        try:
            tables = tabulate(*wanted)
        except EvidenceError as error:
            log.warning("left out: %s", error)
            continue
        snapshot.save(tables, SNAPSHOTS / snapshot.name(*wanted))
        log.info("%s on %s in %s x %d", *wanted)


def run(root: Path, scene: str) -> None:
    """Write the tables that a scene names."""
    served = settings.load(root, scene=fleet.scene(root, scene)).values.deployment
    wanted = Known(served.model, served.platform, served.precision, served.tensor_parallel)
    snapshot.save(load_tables(*wanted), root / "data" / "operators" / scene / snapshot.name(*wanted))


if __name__ == "__main__":
    if sys.argv[1:] == ["--build"]:
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
        build(stage_runner.root_from(SNAPSHOTS))
    else:
        stage_runner.main("operators", run)
