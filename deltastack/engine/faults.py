"""What can go wrong with one run of one cell, so that the others stay right."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from deltastack.errors import StageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltastack.errors import CellError
    from deltastack.experiment.plan import Slot


class FaultKind(StrEnum):
    """Why a run does not count."""

    PORT = "port taken"
    REFUSED = "did not start"
    UNHEALTHY = "not healthy"
    DEAD_SWITCH = "switch did not take"
    NO_EVIDENCE = "no sign of the technique at work"
    CRASHED = "crashed"
    HUNG = "hung"
    THROTTLED = "throttled"
    FAILED_REQUESTS = "failed requests"
    SHORT_OUTPUT = "output of another length"
    MEMORY = "memory limit"
    LEFT_OVER = "left over"

    @property
    def final(self) -> bool:
        """Whether trying again cannot help: what the server resolved does not change from start to start."""
        return self in {FaultKind.DEAD_SWITCH, FaultKind.NO_EVIDENCE}


class RunsError(StageError):
    """Some runs of a group failed, so that none of the group counts: those that did not fail are run again."""

    def __init__(self, found: Mapping[Slot, CellError]) -> None:
        """Say which runs failed and why."""
        super().__init__("; ".join(map(str, found.values())))
        self.found = found
