"""Every notebook of ``examples`` runs, and prints what stands in it."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").rglob("*.ipynb"))


def test_there_is_one() -> None:
    """An empty folder would pass the rest."""
    assert [p.name for p in NOTEBOOKS] == ["four_numbers.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_its_cells_print_what_stands_below_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one namespace. If you are here because this failed: run the notebook and save it with its outputs."""
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    cells = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]

    for place, cell in enumerate(cells):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile("".join(cell["source"]), f"{path.name}[{place}]", "exec"), names)  # noqa: S102 - a file of ours
        assert said.getvalue() == "".join(text for out in cell["outputs"] for text in out["text"])
    assert len(cells) >= 4
