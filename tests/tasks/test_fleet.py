"""What the fleet's stages share: cells of a killed factorial count only while nothing that they depend on has changed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tasks import fleet

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_changed_parameter_forgets_the_cells(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The same files find the cell again and say so; a changed one finds none, and the old file is gone."""
    caplog.set_level(logging.INFO)
    (tmp_path / "params/layers").mkdir(parents=True)
    for name in ("params/fleet.yaml", "params/layers/idle.yaml"):
        (tmp_path / name).write_text("a: 1\n")
    inputs = ("params/fleet.yaml", "params/layers", "data/absent.parquet")
    fleet.kept(tmp_path, "assistant", "joint", inputs).add(0, "base", "does not fit")

    assert fleet.kept(tmp_path, "assistant", "joint", inputs).get(0, "base") == "does not fit"
    assert fleet.kept(tmp_path, "assistant", "baseline", inputs).get(0, "base") == "does not fit"
    assert fleet.kept(tmp_path, "experts", "joint", inputs).get(0, "base") is None
    assert "1 cells are there from earlier stages or a run that was cut" in caplog.text
    (tmp_path / "params/layers/idle.yaml").write_text("a: 2\n")
    assert len(fleet.kept(tmp_path, "assistant", "joint", inputs)) == 0
    assert [p.name.split("-")[1:-1] for p in sorted((tmp_path / ".run/ledgers").iterdir())] == [
        ["assistant", "joint"],
        ["experts", "joint"],
    ]
