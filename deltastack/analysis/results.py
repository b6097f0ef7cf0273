"""What a report is made of: the tables of one run of the graph, and what was computed from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deltastack.analysis import attribution, noise_floor, slo, targets
from deltastack.analysis import quality as answers
from deltastack.analysis.factorial import Absent, Factorial, factorials
from deltastack.analysis.formula_totals import totals
from deltastack.model import Bench, OperatingPoint, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from deltastack.stack import Stack
    from deltastack.statistics.aa_noise import Floor


HEADLINE = {
    Bench.FLEET: OperatingPoint.AT_CAPACITY,
    Bench.TESTBED: OperatingPoint.PER_SESSION,
    Bench.ENGINE: OperatingPoint.PER_SESSION,
}
"""The basis that speaks for a bench: what a request costs when the deployment is used up to its latency goals."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Results:
    """Tables in, totals and attribution out; nothing here reads a file."""

    stack: Stack
    workload: Mapping[str, Any]
    baseline: pd.DataFrame
    deltas: Mapping[str, pd.DataFrame]
    """One table (contract DELTA) a layer and bench, by ``layer/bench``."""
    joint: Mapping[Bench, pd.DataFrame]
    """The factorials without the base's twin, which is in ``floors``."""
    quality: pd.DataFrame | None = None
    """What cells and techniques do to the answers (contract QUALITY); None where nobody looked."""
    served: str | None = None
    """What the simulated deployment serves, and on what, in words."""
    on: Mapping[str, Mapping[Bench, tuple[str, ...]]] = field(default_factory=dict)
    """By layer and bench, the techniques that are on where the layer is; empty where nobody said."""
    late: tuple[slo.Late, ...] = ()
    """Cells and techniques that miss the latency goals."""
    quality_limit: float | None = None
    """The least change of accuracy that is admissible; None where nobody set one."""
    joint_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds that each budget has for the measured factorial, by its name; empty where nobody said."""
    found: tuple[Factorial, ...] = field(default=())
    absent: tuple[Absent, ...] = field(default=())
    total: pd.DataFrame | None = None
    floors: Mapping[Bench, noise_floor.Floors] = field(default_factory=dict)

    def floor(self, f: Factorial) -> Floor | None:
        """What two equal cells seem to differ by in this resource; None where no twin was run."""
        return self.floors.get(f.bench, {}).get((f.operating_point, f.resource))

    def of(self, bench: Bench, operating_point: OperatingPoint, resource: Resource) -> Factorial | None:
        """The factorial of one resource, if it was run."""
        for f in self.found:
            if (f.bench, f.operating_point, f.resource) == (bench, operating_point, resource):
                return f
        return None

    def misses(self, f: Factorial, subject: str) -> str | None:
        """Which latency goals a cell or a technique alone (``LAYER/TECHNIQUE``) misses on the basis of ``f``, in words."""
        return slo.said(self.late, f.bench, f.operating_point, subject)

    def objection(self, f: Factorial, subject: str) -> str | None:
        """What is to be said beside any saving of a cell or a technique: that it serves late, or is not admissible."""
        return "; ".join(filter(None, (self.misses(f, subject), answers.unfit(self, f.bench, subject)))) or None

    def benches(self) -> tuple[Bench, ...]:
        """Benches that have a joint table."""
        return tuple(b for b in Bench if b in self.joint)

    def shares(self, f: Factorial) -> list[attribution.Share]:
        """Attribution of one factorial at the stack's confidence."""
        return attribution.shares(f, self.stack.confidence)

    def pairs(self, f: Factorial) -> list[attribution.Pair]:
        """Interactions of one factorial at the stack's confidence."""
        return attribution.pairs(f, self.stack.confidence)

    def answers(self) -> list[targets.Answer]:
        """Targets held against the headline basis of every bench."""
        spoken = [f for f in self.found if f.operating_point is HEADLINE[f.bench]]
        return [a for f in spoken for a in targets.answers(f, self.stack.confidence)]


def compute(  # noqa: PLR0913 - one keyword a table
    *,
    stack: Stack,
    workload: Mapping[str, Any],
    baseline: pd.DataFrame,
    deltas: Mapping[str, pd.DataFrame],
    joint: Mapping[Bench, pd.DataFrame],
    quality: pd.DataFrame | None = None,
    served: str | None = None,
    on: Mapping[str, Mapping[Bench, tuple[str, ...]]] | None = None,
    late: Sequence[slo.Late] = (),
    quality_limit: float | None = None,
    joint_s: Mapping[str, float] | None = None,
) -> Results:
    """Everything that follows from the tables.

    Raises:
        EvidenceError: A joint table is no full factorial.
    """
    import pandas as pd

    apart = {bench: noise_floor.split(table) for bench, table in joint.items()}
    found: list[Factorial] = []
    absent: list[Absent] = []
    for table, _ in apart.values():
        one, none = factorials(table, stack.layers, stack.cells)
        found += one
        absent += none
    total = (
        totals(found, absent, tolerance=stack.tolerance, confidence=stack.confidence, late=late)
        if found or absent
        else pd.DataFrame()
    )
    return Results(
        stack=stack,
        workload=workload,
        baseline=baseline,
        deltas=deltas,
        joint={bench: table for bench, (table, _) in apart.items()},
        quality=quality,
        served=served,
        on=on or {},
        late=tuple(late),
        quality_limit=quality_limit,
        joint_s=dict(joint_s or {}),
        found=tuple(found),
        absent=tuple(absent),
        total=total,
        floors={bench: known for bench, (_, known) in apart.items()},
    )
