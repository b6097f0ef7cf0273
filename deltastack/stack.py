"""params/stack.yaml: which layers, scenes and factorials the graph runs, at which effort."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deltastack.model import Bench, Params

Profile = Literal["quick", "default", "long"]


class Ran(Params):
    """One factorial of the graph: where it runs and what it reads (dvc.yaml)."""

    bench: Bench
    input: str
    quoted: str
    after: str
    """What has simulated its cells, or what it needs first."""


class Stack(Params):
    """params/stack.yaml."""

    layers: tuple[str, ...] = Field(min_length=1)
    scene: str = Field(default="assistant", description="of the fleet's headline")
    scenes: tuple[str, ...] = Field(default=("assistant",), min_length=1, description="that the graph has stages for")
    factorials: dict[str, Ran] = Field(default_factory=dict, description="one joint@NAME each")
    tolerance: float = Field(gt=0, lt=1, description="a formula holds if its gap lies inside +/- this fraction")
    confidence: float = Field(gt=0, lt=1)
    profile: Profile
    cells: str = Field(default="all", pattern="^(all|half)$", description="every set of layers, or the planned half of five")
    layer_draws: dict[Profile, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="sets of layer parameters that are simulated, by profile; 1 for one that is left out"
    )

    @model_validator(mode="after")
    def _scenes_agree(self) -> Stack:
        """Refuse a headline that no stage computes, and a scene without its factorial."""
        if self.scene not in self.scenes:
            raise ValueError(f"scene: no scene '{self.scene}' among scenes; there are: {', '.join(self.scenes)}")
        simulated = {name for name, ran in self.factorials.items() if ran.bench is Bench.FLEET}
        if self.factorials and simulated != set(self.scenes):
            raise ValueError(f"factorials on the fleet are {', '.join(sorted(simulated))}; wanted: {', '.join(self.scenes)}")
        return self

    @property
    def canonical(self) -> bool:
        """Whether numbers of this profile may be quoted."""
        return self.profile != "quick"

    @property
    def draws(self) -> int:
        """Sets of layer parameters that this profile simulates."""
        return self.layer_draws.get(self.profile, 1)
