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
    """On every bench, at its headline operating point, the joint cell must save ``delta`` of one of ``resources``.

    Where other techniques than the claimant's ``own`` are on as well, the product of its own that are on must.
    """

    by: Literal["target"]
    resources: tuple[Resource, ...] = Field(min_length=1)
    delta: float = Field(gt=0, lt=1)
    stricter: float | None = Field(default=None, gt=0, lt=1)
    own: tuple[Name, ...] = ()


class Otherwise(Params):
    """What a technique saved against another baseline than today's, and where that was measured."""

    baseline: Name
    saving: float = Field(lt=1)
    source: Name


class Saving(Params):
    """What one technique saves alone, from its Δ table: at least ``delta``, or anything at all where none is given.

    What it does not save here but did ``otherwise`` is out of domain: the claim does not state its baseline.
    """

    by: Literal["saving"]
    layer: Name
    technique: Name
    resource: Resource
    component: Component | None = None
    delta: float | None = Field(default=None, lt=1)
    tolerance: float = Field(default=0.0, ge=0, lt=1)
    otherwise: Otherwise | None = None


class Quote(Params):
    """What a source says: its own figure, held against the claim's, or whether it ``agrees``."""

    by: Literal["quote"]
    source: Name
    words: Name
    read: bool = Field(default=True, description="whether the source was read here; one that is only named decides nothing")
    found: float | None = None
    agrees: bool | None = Field(default=None, description="of a claim without a figure; null where the source decides nothing")


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
