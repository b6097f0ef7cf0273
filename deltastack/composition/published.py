"""Published cases: optimizations measured alone and together by their authors, held against the product.

A rate (higher is better) is turned into the resource a unit of work takes: 1 / rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from deltastack import strict_yaml
from deltastack.composition.formulas import delta, gap, independent
from deltastack.errors import ParamsError
from deltastack.model import Params
from deltastack.strict_yaml import YamlError

if TYPE_CHECKING:
    from pathlib import Path

MOST = 1e15
"""No published figure is larger; ratios of figures up to it, and their logarithms, stay finite."""
Positive = Annotated[float, Field(gt=0, le=MOST, strict=True)]
_SHOWN = 20
_FORM = "wanted a list of cases with id, source, conditions, resource, unit, higher_is_better, baseline, singles, joint"


class PublishedCase(Params):
    """One case, as its authors printed it: raw figures in ``unit``, never ratios."""

    id: str = Field(min_length=1)
    source: str = Field(min_length=1)
    conditions: str
    resource: str
    unit: str
    higher_is_better: bool = Field(strict=True)
    baseline: Positive
    singles: dict[str, Positive] = Field(min_length=2)
    joint: Positive

    def saving(self, value: float) -> float:
        """The saving of ``value`` against the baseline, in the direction that is better."""
        if self.higher_is_better:
            return delta(1 / self.baseline, 1 / value)
        return delta(self.baseline, value)


class _Cases(Params):
    """All cases of one file."""

    cases: tuple[PublishedCase, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_id_each(self) -> _Cases:
        ids = [c.id for c in self.cases]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ValueError(f"id given twice: {', '.join(twice)}")
        return self


class PublishedGap(NamedTuple):
    """A case's singles composed by the product, beside what was observed; all fractions, signed."""

    id: str
    singles: dict[str, float]
    predicted: float
    observed: float
    gap: float
    interaction: float
    """ln(1 - observed) - Σ ln(1 - single): 0 where the product holds, positive where it promises too much."""


def published_gap(case: PublishedCase) -> PublishedGap:
    """The product's prediction for ``case`` and how far it is from the truth.

    598 tokens/s; 1323 and 1190 alone, 1576 together: 1 - (598/1323)(598/1190) = 0.7729 predicted,
    1 - 598/1576 = 0.6206 observed, a gap of 15.2 points.

    Raises:
        FormulaError: The figures are outside the domain of the formula.
    """
    singles = {name: case.saving(value) for name, value in case.singles.items()}
    predicted, observed = independent(list(singles.values())), case.saving(case.joint)
    together = float(np.log1p(-observed) - np.log1p(-np.array(list(singles.values()))).sum())
    return PublishedGap(case.id, singles, predicted, observed, gap(predicted, observed), together)


def read_published(path: Path) -> tuple[PublishedCase, ...]:
    """The cases of a YAML file: a list with the fields of ``PublishedCase``.

    Raises:
        ParamsError: No such file, not YAML, not a list, or cases that do not hold; on one line.
    """
    try:
        found = strict_yaml.document(path.read_bytes())
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read ({error.strerror}); {_FORM}") from error
    except YamlError as error:
        raise ParamsError(f"{path}: not YAML ({error}); {_FORM}") from error
    if not isinstance(found, list):
        raise ParamsError(f"{path}: found {'nothing' if found is None else type(found).__name__}; {_FORM}")
    try:
        return TypeAdapter(_Cases).validate_python({"cases": found}).cases
    except ValidationError as error:
        raise ParamsError(f"{path}: {_in_words(error, found)}") from error


def _in_words(error: ValidationError, found: list[object]) -> str:
    """Every fault on one line, each with the id of its case."""
    words = []
    for fault in error.errors(include_url=False):
        place = fault["loc"][1:]
        case = found[place[0]] if place and isinstance(place[0], int) else None
        name = str(case.get("id", place[0])) if isinstance(case, dict) else ".".join(map(str, place))
        field = ".".join(map(str, place[1:]))
        words.append(f"case '{name}' {field}: {fault['msg']}".replace(" : ", ": ") if place else fault["msg"])
    more = f"; and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return "; ".join(words[:_SHOWN]) + more
