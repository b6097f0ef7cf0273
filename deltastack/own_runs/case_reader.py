"""Cases that others published, or that a person typed as YAML: one mean a cell, with the source beside it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deltastack import strict_yaml
from deltastack.composition.published import MOST
from deltastack.contracts.files import ordinary
from deltastack.errors import FactorialError
from deltastack.own_runs import metric_names
from deltastack.own_runs.experiment import Experiment, Mechanism, Metric, Observation
from deltastack.strict_yaml import YamlError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Positive = Annotated[float, Field(gt=0, le=MOST, strict=True, allow_inf_nan=False)]
Told = Annotated[float, Field(ge=-MOST, le=MOST, strict=True, allow_inf_nan=False)]
_FORM = (
    "wanted a list of cases: id, metric, higher_is_better and source with either base, a_alone, b_alone, together, or factors "
    "and cells, or baseline, singles, joint"
)
_SHOWN = 3


class _Mechanism(BaseModel):
    """The layers that share a mechanism, and what was read with it alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: tuple[str, ...] = Field(min_length=1)
    alone: Positive | list[Positive] | None = None

    @property
    def values(self) -> tuple[float, ...]:
        """The readings of the mechanism alone; none where it was not run."""
        return () if self.alone is None else (self.alone,) if isinstance(self.alone, float) else tuple(self.alone)


class _Case(BaseModel):
    """What every case says about itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=1)
    source: str = ""
    hardware: str = ""
    model: str = ""
    higher_is_better: bool = Field(strict=True)
    repeats: int | None = Field(default=None, ge=1, le=1_000_000, strict=True)
    largest_cv: Told | None = None
    confidence: Literal["high", "medium", "low"] | None = None
    note: str = ""
    mechanisms: dict[str, _Mechanism] = Field(default_factory=dict)


class _Single(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    value: Positive


class PairCase(_Case):
    """Two optimizations alone and together."""

    metric: str = Field(min_length=1)
    base: Positive
    a_alone: _Single
    b_alone: _Single
    together: Positive
    check: dict[str, Told] = Field(default_factory=dict)

    @property
    def layers(self) -> tuple[str, ...]:
        """The names, the first as bit 0."""
        return (self.a_alone.name, self.b_alone.name)

    @property
    def values(self) -> dict[int, tuple[float, ...]]:
        """The readings of each cell."""
        return {0: (self.base,), 1: (self.a_alone.value,), 2: (self.b_alone.value,), 3: (self.together,)}


class CellsCase(_Case):
    """Any cells of 2^k."""

    metric: str = Field(min_length=1)
    factors: tuple[str, ...] = Field(min_length=2)
    cells: dict[str, Positive | list[Positive]] = Field(min_length=1)
    sd: dict[str, float] = Field(default_factory=dict)
    check: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _keys(self) -> CellsCase:
        """Refuse a cell that is not a digit for each factor."""
        for key in self.cells:
            if len(key) != len(self.factors) or set(key) - {"0", "1"}:
                raise ValueError(f"cell '{key}': wanted {len(self.factors)} digits 0 or 1 in quotes, one for each factor")
        return self

    @property
    def layers(self) -> tuple[str, ...]:
        """The names, the first as bit 0."""
        return self.factors

    @property
    def values(self) -> dict[int, tuple[float, ...]]:
        """The readings of each cell."""
        return {
            sum(1 << i for i, digit in enumerate(key) if digit == "1"): (v,) if isinstance(v, float) else tuple(v)
            for key, v in self.cells.items()
        }


class SinglesCase(_Case):
    """Any number of optimizations alone, and all together."""

    resource: str = Field(min_length=1)
    unit: str = ""
    conditions: str = ""
    baseline: Positive
    singles: dict[str, Positive] = Field(min_length=2)
    joint: Positive

    @property
    def metric(self) -> str:
        """The unit that the figures are in, or the resource."""
        return self.unit or self.resource

    @property
    def layers(self) -> tuple[str, ...]:
        """The names, the first as bit 0."""
        return tuple(self.singles)

    @property
    def values(self) -> dict[int, tuple[float, ...]]:
        """The readings of each cell."""
        alone = {1 << i: (v,) for i, v in enumerate(self.singles.values())}
        return {0: (self.baseline,), **alone, (1 << len(alone)) - 1: (self.joint,)}


Case = PairCase | CellsCase | SinglesCase


def read_cases(path: Path) -> tuple[Case, ...]:
    """The cases of a YAML file.

    Raises:
        FactorialError: No such file, not YAML, or cases that do not hold; on one line.
    """
    try:
        found = strict_yaml.document(ordinary(path).read_bytes())
    except OSError as error:
        raise FactorialError(f"{path}: cannot be read ({error.strerror}); {_FORM}") from error
    except YamlError as error:
        raise FactorialError(f"{path}: not YAML ({error}); {_FORM}") from error
    rows = [found] if isinstance(found, dict) else found
    if not isinstance(rows, list) or not rows:
        raise FactorialError(f"{path}: found {'nothing' if not rows else type(found).__name__}; {_FORM}")
    cases = tuple(_case(path.name, i, row) for i, row in enumerate(rows))
    ids = [c.id for c in cases]
    if twice := sorted({i for i in ids if ids.count(i) > 1}):
        raise FactorialError(f"{path.name}: id given twice: {', '.join(twice[:_SHOWN])}; name every case differently")
    return cases


def experiments(cases: Sequence[Case], *, metric: str | None = None) -> tuple[Experiment, ...]:
    """One experiment a case.

    Raises:
        FactorialError: No case has the metric, or values that are percentages or in mixed units.
    """
    there = [c for c in cases if metric is None or c.metric == metric]
    if not there:
        raise FactorialError(
            f"no case has the metric '{metric}'; {metric_names.nearest(metric or '', [c.metric for c in cases])}"
        )
    return tuple(experiment(c) for c in there)


def experiment(case: Case) -> Experiment:
    """The runs of a case; the printed mean of a cell is one run.

    Raises:
        FactorialError: Values that do not hold.
    """
    every = dict(enumerate((m.values for m in case.mechanisms.values()), start=1 << len(case.layers)))
    runs = tuple(Observation(cell=cell, value=v) for cell, values in (case.values | every).items() for v in values)
    mechanisms = tuple(Mechanism(name=name, of=m.of) for name, m in case.mechanisms.items())
    if metric_names.is_fraction(case.metric) and any(o.value > 1 for o in runs):
        shown = next(o.value for o in runs if o.value > 1)
        raise FactorialError(f"case {case.id}: {case.metric} is {shown:g}; a fraction lies between 0 and 1: divide by 100")
    notes = tuple(filter(None, (f"source: {case.source}" if case.source else "", case.note)))
    metric = Metric(name=case.metric, higher_is_better=case.higher_is_better)
    setting = {"case": case.id}
    return Experiment(metric=metric, layers=case.layers, setting=setting, observations=runs, notes=notes, mechanisms=mechanisms)


def _case(name: str, place: int, row: Any) -> Case:
    if not isinstance(row, dict):
        raise FactorialError(f"{name}: entry {place + 1} is {type(row).__name__}; {_FORM}")
    kind = _kind(row)
    where = f"{name}: case '{row.get('id', place + 1)}'"
    _spelling(where, row, kind)
    try:
        return kind.model_validate(row)
    except ValidationError as error:
        raise FactorialError(f"{where}: {_in_words(error)}") from error


def _kind(row: dict[Any, Any]) -> type[PairCase | CellsCase | SinglesCase]:
    """The form that most of the keys belong to."""
    kinds: tuple[type[PairCase | CellsCase | SinglesCase], ...] = (PairCase, CellsCase, SinglesCase)
    own = ({"base", "a_alone", "b_alone", "together"}, {"factors", "cells"}, {"baseline", "singles", "joint"})
    shares = [len(keys & set(row)) / len(keys) for keys in own]
    return kinds[shares.index(max(shares))]


def _spelling(where: str, row: dict[Any, Any], kind: type[Case]) -> None:
    """Refuse a key that is nearly one of the form."""
    fields = list(kind.model_fields)
    for key in row:
        near = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.75)
        if key not in fields and near:
            raise FactorialError(f"{where}: unknown key '{key}'; did you mean '{near[0]}'?")


def _in_words(error: ValidationError) -> str:
    """The faults on one line."""
    words = []
    for fault in error.errors(include_url=False):
        place = ".".join(str(x) for x in fault["loc"] if x not in {"float", "list[constrained-float]"})
        found = fault["input"]
        said = "missing" if fault["type"] == "missing" else f"found {str(found)[:40]!r}; {_remedy(fault['msg'], found)}"
        words.append(f"{place}: {said}".removeprefix(": "))
    return "; ".join(dict.fromkeys(words[:_SHOWN]))


def _remedy(message: str, found: Any) -> str:
    if isinstance(found, str) and found.strip().endswith("%"):
        return "write the amount as it was read, or a fraction (0.15 for 15 %)"
    if isinstance(found, str) and found.strip()[:1].isdigit():
        return "write a number without its unit, every value in the unit that `metric` names"
    return message.removeprefix("Value error, ").replace("Input should", "it should").replace("valid string", "text in quotes")
