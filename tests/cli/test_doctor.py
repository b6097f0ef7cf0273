"""``deltastack doctor`` finds its checkout from any folder inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.testing import CliRunner

from deltastack.cli.main import app

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_subfolder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pins are those of the checkout above; they were read from the working folder, which has none."""
    (tmp_path / "dvc.yaml").write_text("")
    (tmp_path / "constraints.txt").write_text("no-such-package==1.0\n")
    inside = tmp_path / "data/joint"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)

    told = CliRunner().invoke(app, ["doctor", "--quick", "--json"])
    assert not isinstance(told.exception, FileNotFoundError)
    assert '"pins"' in told.stdout
