"""The fleet's tables are the same, byte for byte, in two checkouts, whether or not stages and cells share simulations."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from deltastack.fleet.once import Once
from tasks import baseline, estimate, joint, scenes, sensitivity, workload

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]
SCENE = "tiny"


def checkout(root: Path) -> Path:
    """A checkout with one small scene: 400 requests on two accelerators, two draws."""
    shutil.copytree(ROOT / "params", root / "params")
    changes = {
        "stack.yaml": {
            "scene": SCENE,
            "scenes": [SCENE],
            "layer_draws": {"default": 2},
            "layers": ["storage", "instruction_set", "idle"],
        },
        "fleet.yaml": {"capacity": {"requests": 500, "requests_per_replica": 0, "arrivals": 2, "draw_arrivals": 1, "seed": 1}},
        f"scenes/{SCENE}.yaml": {
            "title": "a small one",
            "why": "a test",
            "fleet": {"deployment": {"replicas": 2}},
            "workload": {"kind": "mix", "variant": "default", "requests": 400, "hours": 0.05},
        },
    }
    for name, change in changes.items():
        path = root / "params" / name
        content = yaml.safe_load(path.read_text()) if path.is_file() else {}
        content |= change
        if name == "stack.yaml":
            content["factorials"] = {SCENE: content["factorials"]["assistant"]}
        path.write_text(yaml.safe_dump(content, sort_keys=False))
    return root


def tables(root: Path, *, shared: bool) -> dict[str, str]:
    """Hash of every table that the stages write; without ``shared`` no stage finds cells of another."""
    workload.run(root)
    for run in (baseline.run, estimate.run, joint.run, scenes.run):
        run(root, SCENE)
        if not shared:
            shutil.rmtree(root / ".run", ignore_errors=True)
    sensitivity.run(root, "idle")
    paths = sorted(p for p in (root / "data").rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def test_two_checkouts_have_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One shares all it can, the other nothing: every cell of it is simulated by each stage, and for itself alone."""
    first = tables(checkout(tmp_path / "first"), shared=True)
    monkeypatch.setattr(Once, "of", lambda _self, _key, make: make())
    second = tables(checkout(tmp_path / "second"), shared=False)

    assert first == second
    wanted = ("baseline", "delta", "joint", "quality", "scene", "sensitivity")
    assert {name.split("/")[1] for name in first} >= set(wanted)
