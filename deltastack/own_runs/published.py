"""What others published of stacks, alone and together: how far the product is off, and how far pairwise is."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from deltastack.composition import PublishedGap
from deltastack.errors import FactorialError
from deltastack.own_runs import case_reader, table_reader
from deltastack.own_runs.analysis import TOLERANCE, analyse_experiment
from deltastack.own_runs.technique_classes import pair_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from deltastack.own_runs.case_reader import Case
    from deltastack.own_runs.result import CaseResult


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedStack:
    """One published stack with every formula held against its joint run."""

    id: str
    result: CaseResult
    source: str
    confidence: str | None
    """How comparable its cells are: high, medium or low; None where nobody judged."""
    base: tuple[str, ...]
    """What makes its base run; stacks that share it are not independent."""

    @property
    def gap(self) -> float:
        """Product - joint, as a fraction."""
        return self.result.gap["independent"].delta or 0.0

    @property
    def pairwise_gap(self) -> float | None:
        """Pairwise - joint; None for two layers, of which the pair is the joint."""
        return self.result.gap["pairwise"].delta if len(self.result.layers) > 2 else None  # noqa: PLR2004 - see above

    def as_gap(self) -> PublishedGap:
        """The product's prediction beside what was observed, as ``composition`` gives it."""
        singles = {name: e.delta or 0.0 for name, e in self.result.alone.items()}
        predicted, observed = self.result.predicted["independent"].delta or 0.0, self.result.joint.delta or 0.0
        left = math.log1p(-observed) - sum(math.log1p(-s) for s in singles.values())
        return PublishedGap(self.id, singles, predicted, observed, self.gap, left)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; fractions."""
        return {
            "id": self.id,
            "layers": list(self.result.layers),
            "metric": self.result.metric,
            "observed": self.result.joint.delta,
            "predicted": {f: self.result.predicted[f].delta for f in ("independent", "pairwise", "weighted")},
            "gap": self.gap,
            "pairwise_gap": self.pairwise_gap,
            "confidence": self.confidence,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How often one formula is off."""

    count: int
    off: int
    too_much: int
    too_little: int
    median: float
    """Of the absolute gap."""
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that a folder of published cases says."""

    tolerance: float
    pairs: tuple[PublishedStack, ...]
    stacks: tuple[PublishedStack, ...]
    """Of three layers and more."""
    tables: tuple[tuple[str, tuple[CaseResult, ...]], ...]
    """Tables of single runs by file, one result a setting, with intervals."""

    @property
    def base_runs(self) -> int:
        """Different base runs behind the pairs."""
        return len({p.base for p in self.pairs})

    def product(self, stacks: Sequence[PublishedStack]) -> Tally:
        """How often the product is off."""
        return tally([s.gap for s in stacks], self.tolerance)

    def pairwise(self) -> Tally | None:
        """How often pairwise is off; None without a stack of three layers or more."""
        gaps = [s.pairwise_gap for s in self.stacks if s.pairwise_gap is not None]
        return tally(gaps, self.tolerance) if gaps else None

    @property
    def recommends_pairwise(self) -> bool:
        """Whether pairwise is nearer to the joint run than the product in most stacks."""
        both = [(abs(s.pairwise_gap), abs(s.gap)) for s in self.stacks if s.pairwise_gap is not None]
        return 2 * sum(product - pair > _EQUAL for pair, product in both) > len(both)

    def classes(self) -> dict[str, Tally]:
        """The product by class of pair, the most cases first."""
        names = [pair_class(p.result.layers) for p in self.pairs]
        groups = {n: [p for p, m in zip(self.pairs, names, strict=True) if m == n] for n in dict.fromkeys(names)}
        return {n: self.product(g) for n, g in sorted(groups.items(), key=lambda x: (-len(x[1]), x[0]))}

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        pairwise = self.pairwise()
        return {
            "tolerance": self.tolerance,
            "pairs": _tally_dict(self.product(self.pairs)) | {"different_bases": self.base_runs} if self.pairs else None,
            "stacks": _tally_dict(self.product(self.stacks)) if self.stacks else None,
            "pairwise": None if pairwise is None else _tally_dict(pairwise) | {"recommended": self.recommends_pairwise},
            "classes": {n: _tally_dict(t) for n, t in self.classes().items()},
            "cases": [s.to_dict() for s in (*self.pairs, *self.stacks)],
            "tables": {name: [c.to_dict() for c in cases] for name, cases in self.tables},
        }


def tally(gaps: Sequence[float], tolerance: float) -> Tally:
    """How many gaps lie beyond ± tolerance, and how they spread."""
    return Tally(
        count=len(gaps),
        off=sum(abs(g) > tolerance for g in gaps),
        too_much=sum(g > tolerance for g in gaps),
        too_little=sum(g < -tolerance for g in gaps),
        median=median(abs(g) for g in gaps),
        lowest=min(gaps),
        highest=max(gaps),
    )


def read_evidence(paths: Iterable[Path], *, tolerance: float = TOLERANCE) -> Evidence:
    """The cases of YAML files, and the tables of runs of CSV files.

    Args:
        paths: Files, or folders of which every .yaml, .yml and .csv is read.
        tolerance: The gap beyond which a formula is off, as a fraction.

    Raises:
        FactorialError: No file, a file that does not hold, or one case in two files.
    """
    files = [f for p in paths for f in (sorted(x for x in p.iterdir() if x.suffix in _KINDS) if p.is_dir() else [p])]
    stacks = [s for f in files if f.suffix != ".csv" for s in _stacks(f, tolerance)]
    ids = [s.id for s in stacks]
    if twice := sorted({i for i in ids if ids.count(i) > 1}):
        raise FactorialError(f"case '{twice[0]}' stands in two files; remove one of the two")
    tables = tuple((f.name, _table(f, tolerance)) for f in files if f.suffix == ".csv")
    if not stacks and not tables:
        raise FactorialError(f"no .yaml or .csv with cases in {', '.join(map(str, paths)) or 'no folder'}; add one")
    return Evidence(
        tolerance=tolerance,
        pairs=tuple(s for s in stacks if len(s.result.layers) == 2),  # noqa: PLR2004 - a pair
        stacks=tuple(s for s in stacks if len(s.result.layers) > 2),  # noqa: PLR2004 - more than a pair
        tables=tables,
    )


_EQUAL = 1e-9
"""Gaps that differ by rounding alone are equal."""
_KINDS = frozenset({".yaml", ".yml", ".csv"})


def _stacks(path: Path, tolerance: float) -> list[PublishedStack]:
    return [stack(c, tolerance=tolerance) for c in case_reader.read_cases(path)]


def stack(case: Case, *, tolerance: float = TOLERANCE) -> PublishedStack:
    """One case with every formula held against its joint run.

    Raises:
        FactorialError: A missing cell, or values that do not hold.
    """
    result = analyse_experiment(case_reader.experiment(case), tolerance=tolerance)
    base = (case.source, case.hardware, case.model, case.metric, f"{case.values[0][0]:g}")
    return PublishedStack(id=case.id, result=result, source=case.source, confidence=case.confidence, base=base)


def _table(path: Path, tolerance: float) -> tuple[CaseResult, ...]:
    found = table_reader.experiments(table_reader.read_csv(path))
    return tuple(analyse_experiment(e, tolerance=tolerance) for e in found)


def _tally_dict(found: Tally) -> dict[str, Any]:
    return asdict(found)
