"""Stage ``workload``: a trace read, or a production mix generated, as data/workload.parquet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from deltastack.contracts import WORKLOAD, atomic
from deltastack.workload import describe, settings
from deltastack.workload.settings import set_trace
from tasks import stage_runner

if TYPE_CHECKING:
    from pathlib import Path


__all__ = ["run", "set_trace"]


def run(root: Path) -> None:
    """Write the workload that params/workload.yaml chooses, and data/workload.json with what it is."""
    chosen = settings.load(root)
    read = settings.workload(root, chosen)
    facts = describe.describe(read.frame)
    facts |= {
        "words": describe.words(facts),
        "format": read.format,
        "dropped_rows": read.dropped,
        "trace": chosen.trace.path if chosen.trace else None,
        "source": chosen.trace.path if chosen.trace else chosen.mix.source,
        "image_tokens": "assumed" if facts["text_only_share"] < 1 else None,
    }
    WORKLOAD.write(read.frame, root / "data" / "workload.parquet")
    with atomic(root / "data" / "workload.json") as part:
        part.write_text(json.dumps(facts, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    stage_runner.main("workload", run)
