"""What all layers share: how techniques are chosen in params/layers/LAYER.yaml, and how they rewrite a deployment.

techniques:
  NAME:
    on: true                # part of the layer's `all`
    on_testbed: true        # the same for the testbed's `all`, where it differs: as `on` if left out
    why: in a few words     # why a competent team has it on, or off
    params: {wake_s: {value: 0.4, low: 0.1, high: 6, source: ..., date: ..., evidence: published}, policy: timeout}
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import Field

from deltastack import params
from deltastack.errors import ParamsError
from deltastack.model import Evidence, Params, weakest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.scene import Scene
    from deltastack.layers.technique import Layer, Technique
    from deltastack.testbed.vlm.engine import Engine

FOLDER = "params/layers"
P = TypeVar("P", bound=Params)


class FleetOnly(Generic[P]):
    """A technique that makes no sense on the testbed."""

    __slots__ = ()

    def switch(self, engine: Engine, p: P) -> AbstractContextManager[None] | None:
        """Nothing to switch: the testbed has no such cell."""
        del engine, p
        return None


class TestbedOnly(Generic[P]):
    """A technique that makes no sense on the fleet."""

    __slots__ = ()

    def rewrite(self, deployment: Deployment, p: P) -> Deployment | None:
        """Nothing to rewrite: the fleet has no such cell."""
        del deployment, p
        return None


class TechniqueConfig(Params):
    """One technique in the file: whether it is part of ``all``, why, and its values, ranges drawn."""

    on: bool
    on_testbed: bool | None = None
    why: str = Field(min_length=1)
    params: dict[str, Any] = Field(default_factory=dict)


class LayerConfig(Params):
    """params/layers/LAYER.yaml."""

    techniques: dict[str, TechniqueConfig]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredTechnique:
    """A technique with one draw of its values."""

    technique: Technique[Any]
    params: Params
    on: bool
    evidence: Evidence
    """The weakest evidence among its ranged values; ``simulated`` if none is ranged."""
    on_testbed: bool = False

    @property
    def name(self) -> str:
        """The technique's name."""
        return str(self.technique.name)

    @property
    def on_fleet(self) -> bool:
        """Whether it has a meaning on the fleet; one without has no rows there."""
        return not isinstance(self.technique, TestbedOnly)

    def control(self) -> ConfiguredTechnique:
        """The same technique where Δ must be exactly 0."""
        return replace(self, params=self.technique.control(self.params))


def chosen(  # noqa: PLR0913 - one keyword a place that values come from
    root: Path,
    layer: Layer,
    *,
    draw: int = 0,
    draws: int = 1,
    override: Mapping[str, Mapping[str, Any]] | None = None,
    scene: Scene | None = None,
) -> tuple[ConfiguredTechnique, ...]:
    """Every technique of a layer with draw ``draw`` of ``draws`` of its values, in the layer's order.

    Args:
        root: The checkout.
        layer: Its techniques must be those of the file, all of them.
        draw: Which draw; 0 is the central values.
        draws: How many there are.
        override: By technique, values that replace the file's.
        scene: What it switches on, and its values, replace the file's.

    Raises:
        ParamsError: The file does not hold, or names other techniques; the scene names a technique or a key that is not there.
    """
    where = f"{FOLDER}/{layer.name}.yaml"
    tree = params.read_yaml(root / where)
    drawn = params.draw(_in_scene(tree, layer, scene) if scene else tree, where, number=draw, of=draws)
    choices = params.parse(drawn.values, LayerConfig, where).techniques
    have = {t.name for t in layer.techniques}
    if choices.keys() != have:
        raise ParamsError(f"{where} has techniques {', '.join(choices)}; layer '{layer.name}' has: {', '.join(sorted(have))}")
    return tuple(
        ConfiguredTechnique(
            technique=t,
            params=params.parse(choices[t.name].params | dict((override or {}).get(t.name, {})), t.params, f"{where}: {t.name}"),
            on=choices[t.name].on,
            on_testbed=choices[t.name].on if choices[t.name].on_testbed is None else bool(choices[t.name].on_testbed),
            evidence=weakest(
                [Evidence.SIMULATED, *(e for n, e in drawn.evidence.items() if n.startswith(f"techniques.{t.name}."))]
            ),
        )
        for t in layer.techniques
    )


def _in_scene(tree: dict[str, Any], layer: Layer, scene: Scene) -> dict[str, Any]:
    """The tree of params/layers/LAYER.yaml as a scene changes it.

    Raises:
        ParamsError: A technique or a key that is not there.
    """
    found = dict(tree.get("techniques", {}))
    for name, change in scene.layers.get(layer.name, {}).items():
        if name not in found:
            raise ParamsError(f"{scene.file}: no technique '{layer.name}.{name}'; there are: {', '.join(found)}")
        fields = layer.technique(name).params.model_fields
        strange = [key for key in change.params if key not in fields]
        if strange:
            raise ParamsError(f"{scene.file}: no key '{strange[0]}' in {layer.name}.{name}; there are: {', '.join(fields)}")
        found[name] = change.over(found[name])
    return tree | {"techniques": found}


def apply_techniques(deployment: Deployment, techniques: Iterable[ConfiguredTechnique]) -> Deployment:
    """``deployment`` with every one of ``techniques`` on; those without a meaning on the fleet change nothing.

    Raises:
        OutOfValidityError: The physics of one does not hold here.
    """
    for one in techniques:
        deployment = one.technique.rewrite(deployment, one.params) or deployment
    return deployment
