"""What is written beside a measured table: when it was measured, under which key, and what else used the machine.

The key is the ledger's: a hash of plan, parameters, code and host. Runs of one key on one host are occasions of one experiment.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deltastack.experiment.contention import Neighbours


def stamp(key: str, seen: Neighbours) -> dict[str, Any]:
    """Plain values: ``measured`` (ISO 8601), ``experiment`` (the key) and ``machine`` (``Neighbours.facts``)."""
    return {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "experiment": key, "machine": seen.facts()}
