"""The analysis of a factorial: every quantity of every setting with its interval, and the verdicts."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deltastack import composition, statistics
from deltastack.errors import FactorialError
from deltastack.outcomes import Verdict
from deltastack.own_runs import case_reader, quantities, result_folder, table_reader
from deltastack.own_runs.design import design_of
from deltastack.own_runs.estimates import sample_of
from deltastack.own_runs.experiment import Mechanism
from deltastack.own_runs.result import CaseResult, FactorialResult, MechanismAlone, SavingEstimate
from deltastack.statistics import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import pandas as pd

    from deltastack.own_runs.columns import Table
    from deltastack.own_runs.design import Design
    from deltastack.own_runs.experiment import Experiment

TOLERANCE = 0.02
CONFIDENCE = 0.95
_YAML = frozenset({".yaml", ".yml"})
_ONE_COMPONENT = "amounts are not split by component, so this is the same as independent"


def analyse(  # noqa: PLR0913 - one entry for a person at a keyboard; every option has a default
    source: pd.DataFrame | Path | str,
    *,
    metric: str | None = None,
    higher_is_better: bool | None = None,
    mapping: Path | str | None = None,
    differs: Collection[str] = (),
    partial: bool = False,
    mechanisms: Mapping[str, Collection[str]] | None = None,
    tolerance: float = TOLERANCE,
    confidence: float = CONFIDENCE,
) -> FactorialResult:
    """Analyse a factorial: savings alone and together, formulas, gaps, interactions, Shapley values, verdicts.

    Args:
        source: A data frame, a CSV, a YAML of cases, or a folder of results of load generators.
        metric: The column or quantity; the first that is known by its name if None.
        higher_is_better: The direction of the metric; by its name if None.
        mapping: YAML that says which files of a folder are which cell.
        differs: Conditions in which the runs of a folder may differ, such as ``model``.
        partial: Take a design with holes as it is.
        mechanisms: By the name of a 0/1 column, run alone with every layer off, the layers that share it (tables only).
        tolerance: The largest gap, as a fraction, at which a formula holds.
        confidence: Of every interval.

    Raises:
        FactorialError: The source does not hold; one line that says what to change.
    """
    if not 0 < tolerance < 1:
        raise FactorialError(f"tolerance: found {tolerance:g}; wanted a fraction between 0 and 1, such as 0.02 for 2 points")
    found, name = _read(source, _tables(source, mechanisms, metric, better=higher_is_better), metric, mapping, differs)
    cases = tuple(analyse_experiment(e, partial=partial, tolerance=tolerance, confidence=confidence) for e in found)
    return FactorialResult(source=name, cases=cases)


def runs_of(
    source: Path | str, mechanisms: Mapping[str, Collection[str]] | None = None, *, metric: str | None = None
) -> tuple[Experiment, ...]:
    """The runs of a CSV or a YAML of cases, one experiment a setting.

    Raises:
        FactorialError: As ``analyse``.
    """
    return _read(source, _tables(source, mechanisms, metric, better=None), metric, None, ())[0]


def analyse_experiment(
    found: Experiment, *, partial: bool = False, tolerance: float = TOLERANCE, confidence: float = CONFIDENCE
) -> CaseResult:
    """Analyse one setting.

    Raises:
        FactorialError: A missing cell, and not ``partial``.
    """
    design = design_of(found, partial=partial)
    sample = sample_of(found, design, confidence)
    predicted = {f: sample.saving(quantities.predicted(design, f)) for f in quantities.formulas(design)}
    gaps = {f: sample.saving(quantities.gap(design, f)) for f in quantities.formulas(design)}
    counted = [x for m in design.mechanisms if (x := composition.counted_again(m.name, m.of)) is not None]
    if len(design.layers) == 2:  # noqa: PLR2004 - of two layers the pair is the joint run
        gaps["pairwise"] = replace(gaps["pairwise"], lo=None, hi=None, reason=composition.PAIR_IS_JOINT)
    return CaseResult(
        metric=found.metric.name,
        higher_is_better=found.metric.higher_is_better,
        layers=design.layers,
        setting=dict(found.setting),
        tolerance=tolerance,
        confidence=confidence,
        runs={key(design, m): len(sample.cells[m]) for m in sorted(design.present)},
        alone={name: sample.saving(quantities.alone(design, i)) for i, name in enumerate(design.layers)},
        joint=sample.saving(quantities.joint(design)),
        predicted=predicted,
        gap=gaps,
        verdicts={f: str(_verdict(g, tolerance, confidence)) for f, g in gaps.items()},
        interactions={
            _name(design, m): sample.interaction(quantities.interaction(m)) for m in quantities.interaction_cells(design)
        },
        shapley={name: sample.saving(quantities.shapley(design, i)) for i, name in enumerate(design.layers)},
        missing_cells=tuple(key(design, m) for m in design.missing),
        confounded=design.confounded(),
        mechanisms={
            m.name: MechanismAlone(of=m.of, alone=sample.saving(quantities.mechanism(design, i)))
            for i, m in enumerate(design.mechanisms)
        },
        notes=(*counted, *found.notes, *found.short_blocks(), f"by_component: {_ONE_COMPONENT}"),
    )


def key(design: Design, cell: int) -> str:
    """A cell as digits in the order of the layers, 1 = on."""
    return "".join(str(cell >> i & 1) for i in range(len(design.layers)))


def _name(design: Design, cell: int) -> str:
    return "*".join(name for i, name in enumerate(design.layers) if cell >> i & 1)


def _verdict(gap: SavingEstimate, tolerance: float, confidence: float) -> Verdict:
    if gap.delta is None or gap.lo is None or gap.hi is None:
        return Verdict.UNDECIDED
    ends = {"estimate": gap.delta, "low": gap.lo, "high": gap.hi}
    return statistics.verdict(Interval(**ends, confidence=confidence, n=gap.n, method="gap"), tolerance)


def _tables(
    source: pd.DataFrame | Path | str,
    mechanisms: Mapping[str, Collection[str]] | None,
    metric: str | None,
    *,
    better: bool | None,
) -> Callable[[Table], tuple[Experiment, ...]]:
    """How a table becomes experiments.

    Raises:
        FactorialError: Mechanisms as an option beside a source that is no table.
    """
    shared = tuple(Mechanism(name=n, of=tuple(of)) for n, of in (mechanisms or {}).items())
    if shared and isinstance(source, Path | str) and (Path(source).is_dir() or Path(source).suffix.lower() in _YAML):
        raise FactorialError(f"{source}: --mechanism names a column of a table; a YAML has mechanisms: {{NAME: {{of, alone}}}}")
    return functools.partial(table_reader.experiments, metric=metric, higher_is_better=better, mechanisms=shared)


def _read(
    source: pd.DataFrame | Path | str,
    tables: Callable[[Table], tuple[Experiment, ...]],
    metric: str | None,
    mapping: Path | str | None,
    differs: Collection[str],
) -> tuple[tuple[Experiment, ...], str]:
    if not isinstance(source, Path | str):
        frame = table_reader.read_frame(source)
        return tables(frame), frame.source
    path = Path(source)
    if path.is_dir():
        if mapping is None:
            raise FactorialError(f"{path}: a folder of results wants --map FILE, which says which files are which cell")
        return result_folder.read_folder(path, Path(mapping), metric=metric, differs=differs), path.name
    if path.suffix.lower() in _YAML:
        return case_reader.experiments(case_reader.read_cases(path), metric=metric), path.name
    return tables(table_reader.read_csv(path)), path.name
