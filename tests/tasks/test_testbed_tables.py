"""The testbed is an extra: what is missing is said in one line, and its tables are noted for the page."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING

import pytest

from deltastack.cli import output
from deltastack.cli.main import app
from deltastack.errors import PreflightError
from tasks import testbed, testbed_tables

if TYPE_CHECKING:
    from pathlib import Path

FIND = importlib.util.find_spec


def without_torch(name: str) -> object:
    """The look for a package on a machine without torch."""
    return None if name == "torch" else FIND(name)


def test_a_missing_torch_is_said_in_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the stages, and by the command before anything runs."""
    monkeypatch.setattr(testbed_tables, "find_spec", without_torch)
    monkeypatch.setattr("sys.argv", ["deltastack", "run", "--testbed"])

    with pytest.raises(PreflightError, match=r"the testbed needs torch, .*make run TESTBED=1"):
        testbed.one_thread()
    assert output.exit_code_of(app) == PreflightError.exit_code
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "pip install -c constraints.txt 'deltastack[testbed]'" in told


def test_nothing_is_missing_where_all_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No word then."""
    monkeypatch.setattr(testbed_tables, "find_spec", lambda _: object())

    testbed_tables.require()


def test_a_changed_table_changes_the_note(tmp_path: Path) -> None:
    """Tables of the testbed alone, by their bytes: what `aggregate` depends on differs when one of them does."""
    for name in ("joint/testbed.parquet", "joint/engine.parquet", "delta/measured/idle.parquet", "quality/measured/idle.parquet"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)

    testbed_tables.show(tmp_path)
    first = json.loads((tmp_path / testbed_tables.NOTED).read_text())
    (tmp_path / "data/joint/testbed.parquet").write_text("other")
    testbed_tables.show(tmp_path)
    second = json.loads((tmp_path / testbed_tables.NOTED).read_text())

    assert [*first] == ["data/joint/testbed.parquet", "data/delta/measured/idle.parquet", "data/quality/measured/idle.parquet"]
    assert [name for name in first if first[name] != second[name]] == ["data/joint/testbed.parquet"]
