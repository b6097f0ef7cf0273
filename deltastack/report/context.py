"""What the report shows with the analysis of this run: claims, published cases, imports, history, sensitivity, a fleet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from deltastack.model import Params

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from deltastack.analysis.history import PastRun
    from deltastack.claims import Finding
    from deltastack.composition import PublishedCase
    from deltastack.importers import Saved
    from deltastack.recording import Outcome
    from deltastack.recording.predictions import Beside
    from deltastack.report.engine_runs import EngineRun


class View(Params):
    """params/report.yaml: what the page is asked to show."""

    accelerators: int = Field(ge=1, description="size of the fleet in the yearly cost, energy and carbon")
    quality_limit: float = Field(default=-0.01, ge=-1, le=0, description="least change of accuracy that is admissible")
    history: int = Field(ge=2, le=100, description="how many earlier runs the small curves show")


class Swing(NamedTuple):
    """Δ of one technique at both ends of one parameter's range, the other parameters central; fractions."""

    layer: str
    technique: str
    parameter: str
    bench: str
    operating_point: str
    resource: str
    low: float
    high: float
    central: float
    share: float | None
    """Share of all movement under Morris' screening (mu*); None where it was not computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContext:
    """Everything that the page shows with the analysis; empty parts are left out."""

    findings: tuple[Finding, ...] = ()
    cases: tuple[PublishedCase, ...] = ()
    imported: tuple[Saved, ...] = ()
    engines: tuple[EngineRun, ...] = ()
    recorded: tuple[Outcome, ...] = ()
    """Of measurements that others recorded (``deltastack replay``), one entry a resource."""
    beside: tuple[Beside, ...] = ()
    """What the fleet says of cells that an accelerator measured."""
    history: tuple[PastRun, ...] = ()
    swings: tuple[Swing, ...] = ()
    view: View = field(default_factory=lambda: View(accelerators=1000, history=10))


def swings(rows: Iterable[Mapping[str, Any]]) -> tuple[Swing, ...]:
    """Rows of data/sensitivity as swings; keys that a swing does not have are left out.

    Raises:
        KeyError: A row without one of the names of ``Swing``.
    """
    return tuple(Swing._make(row.get(n) if n == "share" else row[n] for n in Swing._fields) for row in rows)
