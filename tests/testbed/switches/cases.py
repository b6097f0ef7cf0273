"""Every technique with a switch, with values at which it does something, and with its control's: all from the layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deltastack.layers import LAYERS
from deltastack.layers.techniques import ConfiguredTechnique, chosen

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.layers.measurement import Measurement
    from deltastack.model import Params
    from deltastack.testbed.vlm.engine import Engine

ROOT = Path(__file__).parents[3]


def examples() -> dict[str, ConfiguredTechnique]:
    """By name, each technique with the values of its ``measurement.example`` over those of params/layers."""
    found = {}
    for layer in LAYERS.values():
        override = {t.name: t.measurement.example for t in layer.techniques if t.measurement}
        found |= {c.name: c for c in chosen(ROOT, layer, override=override) if c.name in override}
    return found


ON = examples()


def measurement(name: str) -> Measurement:
    """What the technique declares."""
    declared = ON[name].technique.measurement
    assert declared is not None
    return declared


def switch_on(name: str, engine: Engine, values: Params | None = None) -> AbstractContextManager[None]:
    """The switch of a technique, with ``values`` of the switch in the place of its example's."""
    p = ON[name].params
    if values is not None:
        p = p.model_copy(update={"testbed": values}) if "testbed" in type(p).model_fields else values
    return _thrown(ON[name], engine, p)


def switch_control(name: str, engine: Engine) -> AbstractContextManager[None]:
    """The switch of a technique with its control's values."""
    return _thrown(ON[name], engine, ON[name].control().params)


def _thrown(one: ConfiguredTechnique, engine: Engine, p: Params) -> AbstractContextManager[None]:
    switched = one.technique.switch(engine, p)
    assert switched is not None
    return switched
