"""Every example in a docstring says what the code does."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("deltastack", "tasks", "flows", "cli")
SHOWING = sorted(p.relative_to(ROOT) for room in ROOMS for p in (ROOT / room).rglob("*.py") if ">>> " in p.read_text())


@pytest.mark.parametrize("path", SHOWING, ids=str)
def test_examples_in_docstrings(path: Path) -> None:
    """If you are here because this failed: run ``python -m doctest`` on the module; the example or the code is wrong."""
    module = importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
    found = doctest.testmod(module)

    assert found.attempted > 0
    assert found.failed == 0
