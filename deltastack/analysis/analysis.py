"""One frozen analysis of all tables, computed once; decisions, claims and the report read it and compute nothing again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from deltastack.analysis import (
    amdahl,
    attribution,
    base_usage,
    disabled_techniques,
    formula_totals,
    negative_controls,
    noise_floor,
    occasions,
    overprediction,
    quality,
    sample_size,
    slo,
    targets,
)
from deltastack.analysis.factorial import DEFAULT_SCENE, factorials
from deltastack.analysis.occasions import UNRECORDED
from deltastack.model import MECHANISM, Bench, OperatingPoint, Resource, cell_name
from deltastack.outcomes import Formula, Resolution
from deltastack.statistics import resolution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from deltastack.analysis.factorial import Factorial, Missing
    from deltastack.analysis.occasions import Circumstances
    from deltastack.stack import Stack
    from deltastack.statistics import Estimate
    from deltastack.statistics.aa_noise import Floor

HEADLINE = {b: b.facts.headline for b in Bench}
"""The operating point of a bench's first sentence: a simulated deployment at SLO-constrained capacity, a measured session."""
HEADLINE_RESOURCES = (Resource.ENERGY_J, Resource.CPU_S, Resource.TIME_S, Resource.COST_USD)
"""The resource of the first sentence is the first of these that a bench has."""


class LayerSaving(NamedTuple):
    """One layer in one factorial."""

    share: attribution.Share
    resolution: Resolution
    """Of its saving alone."""
    ceiling: amdahl.Ceiling
    disabled: tuple[disabled_techniques.DisabledTechnique, ...]
    """Its techniques alone, where none of them is enabled."""
    caveat: str | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FactorialAnalysis:
    """One scene, bench, operating point and resource."""

    factorial: Factorial
    headline: bool
    """Whether it is the resource that sentences and first tables speak of."""
    totals: Mapping[Formula, formula_totals.Total]
    resolution: Resolution | None
    """Of the joint saving; None where it has no number."""
    cells: tuple[formula_totals.CellPrediction, ...]
    errors: tuple[formula_totals.ErrorOverCells, ...]
    savings: Mapping[int, Estimate]
    """Saving of every cell that was run, by place."""
    layers: tuple[LayerSaving, ...]
    pairs: tuple[attribution.Pair, ...]
    """Strongest interaction first."""
    overprediction: Mapping[Formula, overprediction.Overprediction]
    noise_floor: Floor | None
    null_factors: tuple[negative_controls.NullRate, ...]
    outlook: sample_size.Outlook | None
    targets: tuple[targets.TargetAnswer, ...]
    caveat: str | None
    """What has to be said with any saving of the whole stack: an SLO violation, a quality limit."""
    slo_violation: str | None

    @property
    def joint(self) -> Estimate | None:
        """The observed saving of all layers together."""
        return self.totals[Formula.JOINT].saving

    @property
    def at_headline(self) -> bool:
        """Whether its operating point is that of the bench's first sentence."""
        return self.factorial.operating_point is HEADLINE[self.factorial.bench]


class Tables(NamedTuple):
    """The tables of one run of the graph; nothing here is computed."""

    baseline: pd.DataFrame
    deltas: Mapping[str, pd.DataFrame]
    """One table (contract DELTA) a layer and bench, by ``layer/bench``."""
    joint: Mapping[Bench, pd.DataFrame]
    """The factorials without the base's twin."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Analysis:
    """Everything that follows from the tables of one run of the graph."""

    stack: Stack
    workload: Mapping[str, Any]
    tables: Tables
    """For decisions and claims; the report does not read them."""
    factorials: tuple[FactorialAnalysis, ...]
    missing: tuple[Missing, ...]
    total: pd.DataFrame
    """The table TOTAL, written from the factorials and never read back."""
    base_shares: tuple[base_usage.BaseShare, ...]
    layer_deltas: tuple[base_usage.LayerDelta, ...]
    """Saving of each layer from its own table (``estimate@``, ``measure@``)."""
    hosts: Mapping[Bench, tuple[str, ...]]
    quality: tuple[quality.QualityReading, ...] = ()
    quality_limit: float | None = None
    """The least change of accuracy that is admissible; None where no limit is set."""
    deployment_text: str | None = None
    enabled_techniques: Mapping[str, Mapping[Bench, tuple[str, ...]]] = field(default_factory=dict)
    """By layer and bench; empty where that is not known."""
    slo_violations: tuple[slo.SloViolation, ...] = ()
    measured_at: Mapping[Bench, Circumstances] = field(default_factory=dict)
    """How each measured bench was measured."""

    def of(
        self, bench: Bench, operating_point: OperatingPoint, resource: Resource, scene: str | None = None
    ) -> FactorialAnalysis | None:
        """The analysis of one resource, if it was run; of the first scene unless one is named."""
        wanted = (bench, operating_point, resource)
        mine = (a for a in self.factorials if a.factorial.key[1:] == wanted and scene in {None, a.factorial.scene})
        return next(mine, None)

    @property
    def headlines(self) -> tuple[FactorialAnalysis, ...]:
        """The headline resource of every scene, bench and operating point; a bench's headline operating point first."""
        order = list(Bench)
        found = [a for a in self.factorials if a.headline]
        return tuple(sorted(found, key=lambda a: (order.index(a.factorial.bench), not a.at_headline)))

    @property
    def benches(self) -> tuple[Bench, ...]:
        """Benches that have a joint table."""
        return tuple(b for b in Bench if b in self.tables.joint)

    @property
    def targets(self) -> tuple[targets.TargetAnswer, ...]:
        """Targets held against the headline operating point of every bench."""
        return tuple(t for a in self.factorials if a.at_headline for t in a.targets)

    def slo_violation(self, f: Factorial, subject: str) -> str | None:
        """The SLOs that a cell or a technique alone (``LAYER/TECHNIQUE``) violates at the operating point of ``f``."""
        return slo.describe(self.slo_violations, f.bench, f.operating_point, subject)

    def caveat(self, f: Factorial, subject: str) -> str | None:
        """What has to be said with any saving of a cell or a technique: an SLO violation, a quality limit."""
        return _caveat(self.slo_violations, self.quality, self.quality_limit, f, subject)


def compute(  # noqa: PLR0913 - one keyword a table
    *,
    stack: Stack,
    workload: Mapping[str, Any],
    baseline: pd.DataFrame,
    deltas: Mapping[str, pd.DataFrame],
    joint: Mapping[Bench, pd.DataFrame],
    quality_table: pd.DataFrame | None = None,
    deployment_text: str | None = None,
    enabled_techniques: Mapping[str, Mapping[Bench, tuple[str, ...]]] | None = None,
    slo_violations: Sequence[slo.SloViolation] = (),
    quality_limit: float | None = None,
    paces: Mapping[Bench, sample_size.Pace] | None = None,
    measured_at: Mapping[Bench, Circumstances] | None = None,
    mechanisms: Mapping[Bench, Mapping[str, Sequence[str]]] | None = None,
) -> Analysis:
    """Analyse the tables.

    Args:
        stack: params/stack.yaml.
        workload: Facts of the workload (data/workload.json).
        baseline: Usage with nothing switched (contract USAGE).
        deltas: By ``layer/bench`` (contract DELTA).
        joint: Factorials with the base's twin (contract JOINT).
        quality_table: Contract QUALITY; None where quality was not measured.
        deployment_text: What the simulated deployment serves, and on what.
        enabled_techniques: By layer and bench.
        slo_violations: Cells and techniques that violate the SLOs.
        quality_limit: The least change of accuracy that is admissible.
        paces: How long the factorial of each measured bench takes, and a long run of it has.
        measured_at: How each measured bench was measured, and what it read on earlier occasions.
        mechanisms: By bench and mechanism, the layers that use it; it counts where it was run alone.

    Raises:
        EvidenceError: A joint table is no full factorial.
    """
    split = {bench: noise_floor.split(table) for bench, table in joint.items()}
    found: list[Factorial] = []
    missing: list[Missing] = []
    at = measured_at or {}
    for bench, (table, _) in split.items():
        some, none = factorials(table, stack.layers, stack.cells, (mechanisms or {}).get(bench))
        found += [occasions.quotable(f, at.get(bench, UNRECORDED)) for f in some]
        missing += none
    rows = quality.read(quality_table)
    sets = {bench: table[~table["cell"].str.startswith(MECHANISM)] for bench, (table, _) in split.items()}
    tables = Tables(baseline, deltas, {bench: table.reset_index(drop=True) for bench, table in sets.items()})
    floors = {bench: floor for bench, (_, floor) in split.items()}
    given = _Given(stack, tables, floors, tuple(slo_violations), rows, quality_limit, paces or {}, at)
    spoken = _headlines(found)
    analysed = tuple(_analyse(f, given, headline=f.key in spoken) for f in found)
    return Analysis(
        stack=stack,
        workload=workload,
        tables=tables,
        factorials=analysed,
        missing=tuple(missing),
        total=formula_totals.frame([(a.factorial, a.totals, a.slo_violation) for a in analysed], missing),
        base_shares=base_usage.shares(baseline),
        layer_deltas=base_usage.layer_deltas(deltas, stack.confidence),
        hosts={b: tuple(sorted(t["host"].dropna().unique())) for b, t in tables.joint.items()},
        quality=rows,
        quality_limit=quality_limit,
        deployment_text=deployment_text,
        enabled_techniques=enabled_techniques or {},
        slo_violations=tuple(slo_violations),
        measured_at=at,
    )


class _Given(NamedTuple):
    """What every factorial's analysis needs beside its amounts."""

    stack: Stack
    tables: Tables
    floors: Mapping[Bench, noise_floor.Floors]
    slo_violations: tuple[slo.SloViolation, ...]
    quality: tuple[quality.QualityReading, ...]
    quality_limit: float | None
    paces: Mapping[Bench, sample_size.Pace]
    measured_at: Mapping[Bench, Circumstances]

    def caveat(self, f: Factorial, subject: str) -> str | None:
        return _caveat(self.slo_violations, self.quality, self.quality_limit, f, subject)


def _caveat(
    violations: tuple[slo.SloViolation, ...],
    readings: tuple[quality.QualityReading, ...],
    limit: float | None,
    f: Factorial,
    subject: str,
) -> str | None:
    parts = (slo.describe(violations, f.bench, f.operating_point, subject), quality.unfit(readings, f.bench, subject, limit))
    return "; ".join(filter(None, parts)) or None


def _headlines(found: Sequence[Factorial]) -> set[tuple[str, Bench, OperatingPoint, Resource]]:
    """The headline resource of every scene, bench and operating point."""
    by_place: dict[tuple[str, Bench, OperatingPoint], set[Resource]] = {}
    for f in found:
        by_place.setdefault(f.key[:3], set()).add(f.resource)
    return {(*k, r) for k, there in by_place.items() for r in [r for r in HEADLINE_RESOURCES if r in there][:1]}


def _analyse(f: Factorial, given: _Given, *, headline: bool) -> FactorialAnalysis:
    stack, confidence = given.stack, given.stack.confidence
    at = given.measured_at.get(f.bench, UNRECORDED)
    held = formula_totals.held(f, tolerance=stack.tolerance, confidence=confidence, at=at)
    floor = given.floors.get(f.bench, {}).get((f.operating_point, f.resource))
    table = given.tables.joint[f.bench]
    savings = attribution.cell_savings(f, confidence)
    shares = attribution.shares(f, confidence)
    joint = held.totals[Formula.JOINT].saving
    return FactorialAnalysis(
        factorial=f,
        headline=headline,
        totals=held.totals,
        resolution=None if joint is None else resolution(*joint[:3], floor),
        cells=held.cells,
        errors=held.errors,
        savings=savings,
        layers=tuple(
            _layer(f, given, share, ceiling, floor) for share, ceiling in zip(shares, amdahl.ceilings(f, shares), strict=True)
        ),
        pairs=tuple(attribution.pairs(f, confidence)),
        overprediction=overprediction.overpredictions(f, held.totals),
        noise_floor=floor,
        null_factors=tuple(negative_controls.rates(table, f, confidence)) if headline else (),
        outlook=_outlook(f, given, held.totals[Formula.INDEPENDENT]),
        targets=() if joint is None else _targets(f, given, joint, len(savings) - 1),
        caveat=given.caveat(f, cell_name(f.layers)),
        slo_violation=slo.describe(given.slo_violations, f.bench, f.operating_point, cell_name(f.layers)),
    )


def _targets(f: Factorial, given: _Given, joint: Estimate, sets: int) -> tuple[targets.TargetAnswer, ...]:
    """Targets held against the joint cell, and against the best of so many sets of layers."""
    if not targets.named(f):
        return ()
    at = given.measured_at.get(f.bench, UNRECORDED)
    wide = attribution.cell_savings(f, targets.shared_confidence(given.stack.confidence, sets))
    return targets.answers(f, joint, wide, indicative=occasions.why_indicative(f, at) is not None)


def _layer(f: Factorial, given: _Given, share: attribution.Share, ceiling: amdahl.Ceiling, floor: Floor | None) -> LayerSaving:
    table = given.tables.deltas.get(f"{share.layer}/{f.bench}") if share.alone.value == 0 else None
    disabled = disabled_techniques.of_layer(table, f, given.stack.confidence)
    return LayerSaving(
        share=share,
        resolution=resolution(*share.alone[:3], floor),
        ceiling=ceiling,
        disabled=tuple(d._replace(caveat=given.caveat(f, f"{share.layer}/{d.technique}")) for d in disabled),
        caveat=given.caveat(f, cell_name([share.layer])),
    )


def _outlook(f: Factorial, given: _Given, product: formula_totals.Total) -> sample_size.Outlook | None:
    if f.drawn:
        return None
    pace = given.paces.get(f.bench, sample_size.Pace())
    summed_s = sample_size.block_seconds(given.tables.joint[f.bench], f, twin=bool(given.floors.get(f.bench)))
    return sample_size.outlook(
        f,
        product,
        tolerance=given.stack.tolerance,
        confidence=given.stack.confidence,
        block_s=pace.block_s or summed_s,
        long_budget_s=pace.long_s,
    )


__all__ = ["DEFAULT_SCENE", "HEADLINE", "Analysis", "FactorialAnalysis", "LayerSaving", "Tables", "compute"]
