"""A scene: what a team serves, on what, for whom, within which goals, and which techniques it would switch on.

params/scenes/NAME.yaml says where a scene differs from params/fleet.yaml, params/workload.yaml and params/layers; what it
leaves out is as there, so that a scene is short and a new one is a copy with a few lines changed:

    title: ...                   one line
    why: ...                     why a team would be in it
    fleet: {deployment: {model: ..., platform: ..., replicas: ...}, goals: {...}}
    workload: {kind: mix, ...}
    layers: {idle: {encoder_sleep: {"on": true, why: ..., params: {dedicated: 4}}}}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from deltastack import params
from deltastack.errors import ParamsError, UnknownNameError
from deltastack.model import NO_SCENE, Bench, Params
from deltastack.workload.sources import Agents, Served, Source, TraceFile

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "params/scenes"


class Change(Params):
    """What a scene changes of one technique; what it leaves out is as params/layers has it."""

    on: bool | None = None
    why: str | None = Field(default=None, min_length=1)
    params: dict[str, Any] = Field(default_factory=dict)

    def over(self, choice: dict[str, Any]) -> dict[str, Any]:
        """The technique's entry in params/layers/LAYER.yaml, as this changes it."""
        said = {k: v for k, v in (("on", self.on), ("why", self.why)) if v is not None}
        return choice | said | {"params": dict(choice.get("params", {})) | self.params}


class Scene(Params):
    """One scene."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str = Field(min_length=1)
    why: str = Field(min_length=1)
    fleet: dict[str, Any] = Field(default_factory=dict, description="what differs from params/fleet.yaml")
    workload: Source = Served()
    layers: dict[str, dict[str, Change]] = Field(default_factory=dict, description="what differs from params/layers")

    @property
    def file(self) -> str:
        """Where it is written down, for messages."""
        return f"{FOLDER}/{self.name}.yaml"

    def observed(self, root: Path) -> Scene:
        """The same scene with what its trace tells of reuse in the place of what params/layers assumes of it.

        Raises:
            WorkloadError: A trace that does not hold.
        """
        if not isinstance(self.workload, Agents | TraceFile) or (found := self.workload.reuse(root)) is None:
            return self
        storage = dict(self.layers.get("storage", {}))
        tier = storage.get("kv_tier", Change())
        storage["kv_tier"] = tier.model_copy(update={"params": tier.params | found._asdict()})
        return self.model_copy(update={"layers": self.layers | {"storage": storage}})


def scenes(root: Path) -> tuple[str, ...]:
    """The scenes that the checkout describes."""
    return tuple(sorted(p.stem for p in (root / FOLDER).glob("*.yaml")))


def load(root: Path, name: str, layers: tuple[str, ...] = ()) -> Scene:
    """One scene.

    Args:
        root: The checkout.
        name: The scene's.
        layers: Names of the layers that there are; none: they are not checked.

    Raises:
        UnknownNameError: No such scene; the message lists what there is.
        ParamsError: It does not hold; a layer that nobody has; a name that is a bench's.
    """
    if name not in scenes(root):
        raise UnknownNameError(f"no scene '{name}' in {FOLDER}; there are: {', '.join(scenes(root)) or 'none'}")
    where = f"{FOLDER}/{name}.yaml"
    if name in {*Bench, NO_SCENE}:
        raise ParamsError(f"{where}: a bench is called '{name}'; give the scene another name")
    found = params.parse(params.read_yaml(root / where) | {"name": name}, Scene, where)
    strange = [layer for layer in found.layers if layers and layer not in layers]
    if strange:
        raise ParamsError(f"{where}: no layer '{strange[0]}'; there are: {', '.join(layers)}")
    return found.observed(root)
