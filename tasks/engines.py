"""Runs of further engines, ``data/engines/NAME.json``: findings of ``deltastack engine run``, kept for the report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from deltastack.contracts import atomic
from deltastack.errors import EvidenceError
from deltastack.report.engine_runs import EngineRun, engine_run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDER = "data/engines"


def keep(root: Path, name: str, found: Mapping[str, Any]) -> None:
    """Write what a run found, in the place of an earlier run of the same engine."""
    with atomic(root / FOLDER / f"{name}.json") as part:
        part.write_text(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def shown(root: Path) -> tuple[EngineRun, ...]:
    """What is kept in this checkout, by name.

    Raises:
        EvidenceError: A file of another form.
    """
    found = []
    for path in sorted((root / FOLDER).glob("*.json")):
        try:
            found.append(engine_run(json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EvidenceError(
                f"{FOLDER}/{path.name} holds no findings ({error!r}): run `deltastack engine run` again"
            ) from error
    return tuple(found)
