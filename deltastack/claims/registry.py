"""The registry of claims (params/claims.yaml): what is claimed, and by what it is checked."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from deltastack.claims.recomputed import COMPUTATIONS
from deltastack.model import Component, Params, Resource

Name = Annotated[str, Field(min_length=1)]


class Verdict(StrEnum):
    """What can be said of a claim."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    OUT_OF_DOMAIN = "out of domain"
    UNTESTABLE = "untestable here"


class Paper(Params):
    """The printed figures with the claim's id, recomputed (``composition.paper_table``)."""

    by: Literal["paper"]


class Computation(Params):
    """A named formula of ``claims.arithmetic``, fed ``figures``."""

    by: Literal["computation"]
    name: Name
    figures: dict[str, float]

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in COMPUTATIONS:
            raise ValueError(f"no computation '{name}'; there are: {', '.join(sorted(COMPUTATIONS))}")
        return name


class Target(Params):
    """The joint cell of every bench at its headline basis must save ``delta`` of one of ``resources``."""

    by: Literal["target"]
    resources: tuple[Resource, ...] = Field(min_length=1)
    delta: float = Field(gt=0, lt=1)
    stricter: float | None = Field(default=None, gt=0, lt=1)


class Saving(Params):
    """What one technique saves alone, from its Δ table: at least ``delta``, or anything at all where none is given."""

    by: Literal["saving"]
    layer: Name
    technique: Name
    resource: Resource
    component: Component | None = None
    delta: float | None = Field(default=None, lt=1)
    tolerance: float = Field(default=0.0, ge=0, lt=1)


class Quote(Params):
    """A source that was read says so."""

    by: Literal["quote"]
    verdict: Verdict
    source: Name
    words: Name
    found: float | None = None


Check = Annotated[Paper | Computation | Target | Saving | Quote, Field(discriminator="by")]


class Claim(Params):
    """One claim, where it stands, and what it is held against."""

    id: Name
    kind: Literal["target", "arithmetic", "layer", "demand", "citation", "composition"]
    section: str
    claim: Name
    value: float | None = None
    meaning: str | None = None
    evidence: str | None = None
    checks: tuple[Check, ...] = Field(min_length=1)


class Claims(Params):
    """params/claims.yaml."""

    claims: tuple[Claim, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_id_each(self) -> Claims:
        ids = [c.id for c in self.claims]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ValueError(f"id given twice: {', '.join(twice)}")
        return self
