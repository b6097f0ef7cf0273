"""Exit codes 4, 5 and 6 by the commands that give them, as a script meets them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deltastack.cli import output
from deltastack.cli.main import main
from deltastack.contracts import JOINT, QUALITY
from deltastack.model import Bench, Evidence
from tests.report.project import finished

if TYPE_CHECKING:
    from collections.abc import Mapping

    Change = tuple[float, float, float]

HERE = Path(__file__).parents[2]
WELL, ILL = (0.0, -0.001, 0.001), (-0.05, -0.06, -0.04)
"""Changes of accuracy with their intervals."""


def answered(root: Path, changes: Mapping[str, Change]) -> Path:
    """Write what cells of ``root`` do to the answers and return ``root``."""
    rows = [
        (Bench.FLEET, cell, "accuracy", 100, 0.9, 0.9 + change[0], *change, Evidence.PUBLISHED, None, "host", True)
        for cell, change in changes.items()
    ]
    QUALITY.write(QUALITY.frame(rows), root / "data/quality/joint/assistant.parquet")
    return root


def run(monkeypatch: pytest.MonkeyPatch, root: Path, *words: str) -> int:
    """The exit code of ``deltastack WORDS`` in ``root``."""
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["deltastack", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(str(stop.value.code or 0))


@pytest.mark.parametrize(("change", "code"), [(WELL, 0), (ILL, output.QUALITY_LIMIT)])
def test_solve_exits_4_outside_the_quality_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], change: Change, code: int
) -> None:
    """Every cell that saves 19 % of energy costs 5 points of accuracy against a limit of 1: exit 4, and it says so."""
    root = answered(finished(tmp_path / "here"), {"storage": change, "idle+storage": change, "idle": WELL})

    assert run(monkeypatch, root, "solve", "--target", "energy=0.19", "--limit", "quality=-0.01") == code
    assert ("only outside the quality limit" in capsys.readouterr().out) is (code == output.QUALITY_LIMIT)


@pytest.mark.parametrize(("after", "code"), [(WELL, 0), (ILL, output.QUALITY_LIMIT)])
def test_compare_exits_4_where_quality_fell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], after: Change, code: int
) -> None:
    """The same savings; the answers of the whole stack are worse by 5 points beyond noise."""
    was = answered(finished(tmp_path / "was"), {"idle+storage": WELL})
    now = answered(finished(tmp_path / "now"), {"idle+storage": after})

    assert run(monkeypatch, now, "compare", str(was)) == code
    assert ("quality, fleet: -5.00 %" in capsys.readouterr().out) is (code == output.QUALITY_LIMIT)


def test_compare_exits_5_where_a_formula_that_held_fails(tmp_path: Path) -> None:
    """The pair now saves more than its product: nothing fell, yet the product that held fails. As a process of its own."""
    was = finished(tmp_path / "was")
    now = finished(tmp_path / "now", interactions={("storage", "idle"): -0.1})
    command = [sys.executable, "-m", "deltastack.cli", "compare", str(was), str(now)]
    done = subprocess.run(command, cwd=now, env=_import_from(HERE), capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (output.COMPOSITION_FAILS, "")
    assert "independent of fleet.at_capacity.energy_j: holds -> fails" in done.stdout


def test_a_saving_that_fell_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A formula that fails because the joint saving fell is a regression: 1, not 5; quality that fell is 4 whatever else fell."""
    was = answered(finished(tmp_path / "was"), {"idle+storage": WELL})
    fell = finished(tmp_path / "now", interactions={("storage", "idle"): 0.1})

    assert run(monkeypatch, answered(fell, {"idle+storage": WELL}), "compare", str(was)) == 1
    assert run(monkeypatch, answered(fell, {"idle+storage": ILL}), "compare", str(was)) == output.QUALITY_LIMIT


def test_compare_exits_6_where_nothing_is_on_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of different bases share no total: nothing can be told."""
    was, now = finished(tmp_path / "was"), finished(tmp_path / "now")
    _of_basis(was, "at_trace")
    _of_basis(now, "at_capacity")

    assert run(monkeypatch, now, "compare", str(was)) == output.CANNOT_BE_TOLD


def _of_basis(root: Path, operating_point: str) -> None:
    path = root / "data/joint/assistant.parquet"
    frame = JOINT.read(path)
    JOINT.write(frame[frame["operating_point"] == operating_point].reset_index(drop=True), path)


def _import_from(folder: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(folder)}
