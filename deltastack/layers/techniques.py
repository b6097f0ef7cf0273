"""What all layers share: how techniques are chosen in params/layers/LAYER.yaml, and how they rewrite a deployment.

techniques:
  NAME:
    on: true                # part of the layer's `all`
    on_testbed: true        # the same for the testbed's `all`, where it differs: as `on` if left out
    why: in a few words     # why a competent team has it on, or off
    quality: exact          # what it does to the answers on the fleet: exact, or what others published; nothing: nobody did
    params: {wake_s: {value: 0.4, low: 0.1, high: 6, source: ..., date: ..., evidence: published}, policy: timeout}
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from deltastack import params
from deltastack.errors import ParamsError
from deltastack.model import Evidence, Params, weakest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.scene import Scene
    from deltastack.layers.technique import Layer, Technique

FOLDER = "params/layers"
QUALITY_MOVED = "params/quality.yaml"


class Quoted(Params):
    """One benchmark of one model, with and without a technique, as others published it."""

    metric: str = Field(pattern="^accuracy_[a-z0-9_]+$")
    base: float = Field(ge=0, le=1)
    value: float = Field(ge=0, le=1)
    questions: int | None = Field(ge=1)
    of: dict[str, str | int] = Field(default_factory=dict, description="values of the technique that the figure is of")
    model: str = Field(min_length=1)
    source: str = Field(min_length=1)
    date: str = Field(min_length=4)


Quality = Literal["exact"] | tuple[Quoted, ...]
"""No arithmetic is changed, or what others published of the answers."""


class TechniqueConfig(Params):
    """One technique in the file: whether it is part of ``all``, why, and its values, ranges drawn."""

    on: bool
    on_testbed: bool | None = None
    why: str = Field(min_length=1)
    quality: Quality | None = Field(default=None, description="None: nobody published it, or nobody read it")
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
    quality: Quality | None = None

    @property
    def name(self) -> str:
        """The technique's name."""
        return str(self.technique.name)

    @property
    def on_fleet(self) -> bool:
        """Whether it has a meaning on the fleet; one without has no rows there."""
        return self.technique.on_fleet

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
    tree = read(root, layer)
    with params.changed_by(scene.file if scene else None):
        drawn = params.draw(_in_scene(tree, layer, scene) if scene else tree, where, number=draw, of=draws)
        choices = params.parse(drawn.values, LayerConfig, where).techniques
        have = {t.name for t in layer.techniques}
        if choices.keys() != have:
            raise ParamsError(f"{where} has techniques {', '.join(choices)}; layer '{layer.name}' has: {', '.join(sorted(have))}")
        return tuple(
            ConfiguredTechnique(
                technique=t,
                params=params.parse(
                    choices[t.name].params | dict((override or {}).get(t.name, {})), t.params, f"{where}: {t.name}"
                ),
                on=choices[t.name].on,
                quality=choices[t.name].quality,
                on_testbed=choices[t.name].on if choices[t.name].on_testbed is None else bool(choices[t.name].on_testbed),
                evidence=weakest(
                    [Evidence.SIMULATED, *(e for n, e in drawn.evidence.items() if n.startswith(f"techniques.{t.name}."))]
                ),
            )
            for t in layer.techniques
        )


def sharing(on: Mapping[str, Iterable[ConfiguredTechnique]]) -> dict[str, tuple[str, ...]]:
    """By mechanism, the layers of which a technique that is on uses it; a product over two that share one counts it twice."""
    found: dict[str, tuple[str, ...]] = {}
    for layer, some in on.items():
        for name in dict.fromkeys(m.name for one in some for m in one.technique.mechanisms):
            found[name] = (*found.get(name, ()), layer)
    return found


def values_file(root: Path, layer: Layer) -> Path:
    """params/layers/LAYER.yaml of the checkout, or the file that the layer's package brings."""
    own = root / FOLDER / f"{layer.name}.yaml"
    return own if own.is_file() or layer.values is None else layer.values


def read(root: Path, layer: Layer) -> dict[str, Any]:
    """The values of a layer as the file has them.

    Raises:
        ParamsError: Neither is there, or params/quality.yaml still is.
    """
    if (root / QUALITY_MOVED).exists():
        raise ParamsError(f"{QUALITY_MOVED} is no longer read; move each entry to `quality` of its technique in {FOLDER}")
    return params.read_yaml(values_file(root, layer))


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
