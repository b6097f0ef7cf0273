"""Stage checkpoint: the shipped students come along, others are taught only for a stack that has their layer."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from deltastack import params
from deltastack.testbed.learning import bundled_checkpoint, distillation
from deltastack.testbed.vlm import student_files
from tasks import checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
ROOT = Path(__file__).parents[2]


def checkout(root: Path, layers: list[str], **students: Any) -> Path:
    """Params of a checkout with these layers and changed values of ``students``; few questions, so that it is quick."""
    (root / "params").mkdir()
    shutil.copy(ROOT / "params" / "stack.yaml", root / "params")
    values: dict[str, Any] = params.read_yaml(ROOT / "params" / "testbed.yaml")
    values["trained"] |= {"held_out": 64, "least_accuracy": 0.5}
    values["students"] |= students
    (root / "params" / "testbed.yaml").write_text(json.dumps(values))
    stack: dict[str, Any] = params.read_yaml(root / "params" / "stack.yaml")
    (root / "params" / "stack.yaml").write_text(json.dumps(stack | {"layers": layers}))
    return root


def test_the_shipped_students_come_along(tmp_path: Path) -> None:
    """With the shipped parameters nothing is taught: files and card are the package's."""
    checkpoint.run(checkout(tmp_path, ["idle"]))

    folder = tmp_path / "data" / "checkpoint"
    assert student_files.card(folder) == student_files.card(bundled_checkpoint.FOLDER)
    assert all((folder / student_files.file(how)).is_file() for how in distillation.TAUGHT)


@pytest.mark.parametrize(("layers", "times"), [(["idle"], 0), (["idle", "distillation"], 1)])
def test_other_students_are_taught_for_a_stack_that_has_them(
    layers: list[str], times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At another temperature the shipped students do not fit: taught here if the stack names the layer; else it is said how."""
    asked: list[Path] = []
    monkeypatch.setattr(checkpoint, "teach", asked.append)
    caplog.set_level(logging.INFO, "deltastack.tasks")

    checkpoint.run(checkout(tmp_path, layers, temperature=3.0))

    assert asked == [tmp_path] * times
    assert not student_files.card(tmp_path / "data" / "checkpoint")
    assert "taught by other parameters than `students` in params/testbed.yaml" in caplog.text
    assert ("`python -m tasks.checkpoint --students` teaches them" in caplog.text) == (times == 0)
