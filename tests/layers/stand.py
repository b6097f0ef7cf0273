"""A layer on a small bench: the served deployment, a short trace, and what its techniques make of them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deltastack.fleet import accelerator, evaluate, settings
from deltastack.layers import layer, techniques
from tests.fakes import fake_trace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deltastack.layers.techniques import ConfiguredTechnique
    from deltastack.model import OperatingPoint, Resource, Usage

ROOT = Path(__file__).parents[2]
SETTINGS = settings.load(ROOT)
SERVED = SETTINGS.values.deployment.deployment()
H100 = accelerator.load(ROOT, SERVED.platform)
TRACE = fake_trace(300, 2.0)


class Stand:
    """One layer; capacity is found with ``requests`` requests."""

    def __init__(self, name: str, *, requests: int) -> None:
        """Choose the layer."""
        self.layer = layer(name)
        capacity = SETTINGS.values.capacity.model_copy(update={"requests": requests})
        self.quick = SETTINGS._replace(values=SETTINGS.values.model_copy(update={"capacity": capacity}))

    @cached_property
    def base(self) -> dict[OperatingPoint, Usage]:
        """With nothing on."""
        return self.used([])

    def used(self, switched: Iterable[ConfiguredTechnique]) -> dict[OperatingPoint, Usage]:
        """The bench with techniques on."""
        return evaluate.run(techniques.apply_techniques(SERVED, switched), TRACE, H100, self.quick)

    def technique(self, name: str, **values: object) -> ConfiguredTechnique:
        """One technique with its central values, some of them replaced."""
        return next(c for c in techniques.chosen(ROOT, self.layer, override={name: values}) if c.name == name)

    def control_changes_nothing(self, name: str, draw: int) -> None:
        """|Δ| <= 1e-12 in every reading on both bases, with the control of ``name`` at that draw of five."""
        control = next(c for c in techniques.chosen(ROOT, self.layer, draw=draw, draws=5) if c.name == name).control()
        for operating_point, usage in self.used([control]).items():
            for was, now in zip(self.base[operating_point], usage, strict=True):
                assert (was.component, was.resource) == (now.component, now.resource)
                assert now.amount == pytest.approx(was.amount, rel=1e-12, abs=0.0)


def saved(before: Usage, after: Usage, resource: Resource) -> float:
    """Δ of one resource."""
    was, now = before.total(resource), after.total(resource)
    assert was is not None
    assert now is not None
    return (was - now) / was
