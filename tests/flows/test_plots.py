"""What ``dvc plots`` draws: the entries of dvc.yaml, from the rows behind the figures, with the templates of .dvc/plots."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import vl_convert
import yaml

from deltastack.report.figures import figures
from tests.report.test_page import results

HOME = Path(__file__).parents[2]
ENTRIES: dict[str, dict[str, Any]] = {
    name: entry for one in yaml.safe_load((HOME / "dvc.yaml").read_text())["plots"] for name, entry in one.items()
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the plots and templates of this one, and figures of planted results; the engine's are the fleet's."""
    root = tmp_path / "plots"
    shutil.copytree(HOME / ".dvc" / "plots", root / ".dvc" / "plots")
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n    no_scm = true\n    check_update = false\n")
    (root / "dvc.yaml").write_text(yaml.safe_dump({"plots": [{n: e} for n, e in ENTRIES.items()]}))
    (root / "reports" / "figures").mkdir(parents=True)
    for figure in figures(results()):
        figure.rows.to_csv(root / "reports" / "figures" / f"{figure.name}.csv", index=False)
        measured = figure.name.replace("fleet-at_trace", "engine-per_session")
        figure.rows.to_csv(root / "reports" / "figures" / f"{measured}.csv", index=False)
    return root


def test_every_plot_renders(project: Path) -> None:
    """``dvc plots show`` gives a chart an entry, each compiles, and the planted loss of 25 % and all layers can be read in it."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "plots", "show", "--json"], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)

    assert not shown.get("errors")
    assert set(shown["data"]) == set(ENTRIES)
    for name, ((chart,)) in shown["data"].items():
        picture = vl_convert.vegalite_to_svg(chart["content"])
        assert ENTRIES[name]["title"] in picture
        if name != "predicted":
            assert all(layer in picture for layer in ("pipeline", "storage", "idle"))
        if name.startswith("waterfall"):
            assert "+25.0 %" in picture
            assert "interaction" in picture


def test_the_entries_name_what_the_report_writes() -> None:
    """Each entry's file is a figure of that name; its columns are among the figure's rows."""
    rows = {f.name: set(f.rows.columns) for f in figures(results())}
    for name, entry in ENTRIES.items():
        ((path, column),) = entry["y"].items()

        assert path == f"reports/figures/{name}.csv"
        assert {column, entry["x"]} <= rows[name.replace("engine-per_session", "fleet-at_trace")]
