"""What the command line may change in params/, and that nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deltastack.errors import ParamsError
from tasks import params_editor

ROOT = Path(__file__).parents[2]


def test_the_effort_changes_and_comes_back_byte_for_byte(tmp_path: Path) -> None:
    """Quick and back: the shipped file is what it was, comments and columns too; only the effort differed."""
    path = tmp_path / "params" / "stack.yaml"
    path.parent.mkdir()
    shipped = (ROOT / "params" / "stack.yaml").read_text().replace("effort: quick", "effort: default")
    path.write_text(shipped)

    params_editor.set_effort(tmp_path, "quick")
    quick = path.read_text()
    params_editor.set_effort(tmp_path, "default")

    assert path.read_text() == shipped
    changed = [(a, b) for a, b in zip(shipped.splitlines(), quick.splitlines(), strict=True) if a != b]
    assert [(a.split()[:2], b.split()[:2]) for a, b in changed] == [(["effort:", "default"], ["effort:", "quick"])]


def test_nothing_is_written_that_stands_there_already(tmp_path: Path) -> None:
    """The file is not touched: DVC sees no new time."""
    path = tmp_path / "params" / "stack.yaml"
    path.parent.mkdir()
    path.write_text("effort:   default\n")
    before = path.stat()

    params_editor.set_effort(tmp_path, "default")

    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_unknown_effort_or_no_file_is_refused(tmp_path: Path) -> None:
    """Both name what there is."""
    with pytest.raises(ParamsError, match="no effort 'fast'; there are: default, quick, long"):
        params_editor.set_effort(tmp_path, "fast")
    with pytest.raises(ParamsError, match="no such parameter file"):
        params_editor.set_effort(tmp_path, "quick")


def test_a_scene_of_one_s_own_gets_its_stages_once(tmp_path: Path) -> None:
    """Its name is the last scene, its factorial is the headline's with its own file; all other lines stay; twice is once."""
    path = tmp_path / "params" / "stack.yaml"
    path.parent.mkdir()
    shipped = (ROOT / "params" / "stack.yaml").read_text()
    path.write_text(shipped)

    params_editor.add_scene(tmp_path, "mine")
    once = path.read_text()
    params_editor.add_scene(tmp_path, "mine")

    before, after = yaml.safe_load(shipped), yaml.safe_load(once)
    assert after["scenes"] == [*before["scenes"], "mine"]
    assert after["factorials"]["mine"] == before["factorials"]["assistant"] | {
        "input": "params/scenes/mine.yaml",
        "after": "data/baseline/mine.parquet",
    }
    assert {k: v for k, v in after["factorials"].items() if k != "mine"} == before["factorials"]
    assert {k: v for k, v in after.items() if k not in {"scenes", "factorials"}} == {
        k: v for k, v in before.items() if k not in {"scenes", "factorials"}
    }
    assert path.read_text() == once


def test_a_shipped_scene_changes_nothing(tmp_path: Path) -> None:
    """It has its stages: the file is not touched."""
    path = tmp_path / "params" / "stack.yaml"
    path.parent.mkdir()
    path.write_text((ROOT / "params" / "stack.yaml").read_text())
    before = path.stat()

    params_editor.add_scene(tmp_path, "experts")

    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
