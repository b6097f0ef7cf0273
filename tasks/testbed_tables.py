"""Which tables of the testbed the page counts: its stages are no part of the default run.

``make run TESTBED=1`` brings them up to date and notes their hashes in data/testbed/tables.json, which ``aggregate`` depends on.
"""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec
from typing import TYPE_CHECKING

from deltastack.errors import PreflightError
from deltastack.model import Bench
from tasks import stage_runner

if TYPE_CHECKING:
    from pathlib import Path

NOTED = "data/testbed/tables.json"
NEEDED = ("torch", "transformers", "safetensors")


def stages(layers: tuple[str, ...]) -> str:
    """The stages that measure on the testbed, with blanks between them.

    >>> stages(("storage", "idle"))
    'joint@testbed measure@storage measure@idle'
    """
    return " ".join((f"joint@{Bench.TESTBED}", *(f"measure@{layer}" for layer in layers)))


def require() -> None:
    """Refuse to go on without the packages of the testbed.

    Raises:
        PreflightError: Some are not installed; all are named.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise PreflightError(
            f"the testbed needs {', '.join(missing)}, which the default set-up leaves out: make run TESTBED=1 installs them "
            "(0.75 GB), or pip install -c constraints.txt 'deltastack[testbed]'"
        )


def show(root: Path) -> None:
    """Note the tables that are there, so that the page is made again when they change."""
    paths = [*sorted((root / "data/joint").glob("testbed.*")), *sorted((root / "data/delta/measured").glob("*"))]
    paths += [*sorted((root / "data/quality/joint").glob("testbed.*")), *sorted((root / "data/quality/measured").glob("*"))]
    noted = {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths if p.is_file()}
    stage_runner.write(root / NOTED, json.dumps(noted, indent=1) + "\n")
