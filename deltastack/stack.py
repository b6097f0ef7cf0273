"""params/stack.yaml: which layers, scenes and factorials the graph runs, at which effort."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from deltastack.model import Bench, Params

Effort = Literal["quick", "default", "long"]


class Ran(Params):
    """One factorial of the graph: where it runs and what it reads (dvc.yaml)."""

    bench: Bench
    input: str
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
    effort: Effort
    cells: str = Field(default="all", pattern="^(all|half)$", description="every set of layers, or the planned half of five")
    layer_draws: dict[Effort, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="sets of layer parameters that are simulated, by effort; 1 for one that is left out"
    )

    executor: str = Field(default="threads", description="threads, processes, or tcp://HOST:PORT of a Dask scheduler")
    runs_kept: int = Field(default=30, ge=1, description="newest runs that are kept, and that a verdict may go by")

    @model_validator(mode="before")
    @classmethod
    def _names_are_of_today(cls, values: Any) -> Any:
        """Refuse names of before, and say what they are called now."""
        if isinstance(values, dict) and "profile" in values:
            raise ValueError("profile is called effort now: rename the key in params/stack.yaml")
        if isinstance(values, dict) and "occasions_kept" in values:
            raise ValueError("occasions_kept is called runs_kept now: rename the key in params/stack.yaml")
        if isinstance(values, dict) and any("quoted" in ran for ran in (values.get("factorials") or {}).values()):
            raise ValueError("factorials: quoted is no longer read: delete it; what others published stands in params/layers")
        return values

    @model_validator(mode="after")
    def _scenes_agree(self) -> Stack:
        """Refuse a headline that no stage computes, and a scene without its factorial."""
        if self.scene not in self.scenes:
            raise ValueError(f"scene: no scene '{self.scene}' among scenes; there are: {', '.join(self.scenes)}")
        simulated = {name for name, ran in self.factorials.items() if ran.bench.facts.simulated}
        if self.factorials and simulated != set(self.scenes):
            raise ValueError(f"simulated factorials are {', '.join(sorted(simulated))}; wanted: {', '.join(self.scenes)}")
        return self

    @property
    def canonical(self) -> bool:
        """Whether numbers of this effort may be quoted."""
        return self.effort != "quick"

    @property
    def draws(self) -> int:
        """Sets of layer parameters that this effort simulates."""
        return self.layer_draws.get(self.effort, 1)
