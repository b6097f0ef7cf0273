"""What earlier runs of this checkout found: .run/history/KEY.json, one set of results each, for the small curves of the page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tasks import stage_runner

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.analysis.history import PastRun

_HEADS = ("delta_total.", "gap.")


def note(root: Path, name: str, content: dict[str, Any]) -> None:
    """Keep the headline numbers of an outbox entry; the first time that these results were made stays."""
    path = _folder(root) / f"{name}.json"
    if path.is_file():
        return
    kept = {n: v for n, v in content["metrics"].items() if n.startswith(_HEADS)}
    said = {"created": content["created"], "canonical": content["tags"].get("canonical") == "true", "metrics": kept}
    stage_runner.write(path, json.dumps(said, indent=2, allow_nan=False) + "\n")


def read(root: Path) -> tuple[PastRun, ...]:
    """Earlier results, oldest first; a note that cannot be read is left out."""
    from deltastack.analysis.history import PastRun

    found = []
    for path in _folder(root).glob("*.json"):
        try:
            said = json.loads(path.read_text())
            found.append(PastRun(said["created"], bool(said["canonical"]), said["metrics"]))
        except (ValueError, KeyError, TypeError):
            continue
    return tuple(sorted(found, key=lambda p: p.created))


def _folder(root: Path) -> Path:
    return root / ".run" / "history"
