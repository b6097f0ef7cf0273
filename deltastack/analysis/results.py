"""params/stack.yaml: which layers are composed, how finely, and by which tolerance."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deltastack.model import Params

Profile = Literal["quick", "default", "long"]


class Stack(Params):
    """params/stack.yaml."""

    layers: tuple[str, ...] = Field(min_length=1)
    tolerance: float = Field(gt=0, lt=1, description="a formula holds if its gap lies inside +/- this fraction")
    confidence: float = Field(gt=0, lt=1)
    profile: Profile
    cells: str = Field(default="all", pattern="^(all|half)$", description="every set of layers, or the planned half of five")
    layer_draws: dict[Profile, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="sets of layer parameters that are simulated, by profile; 1 for one that is left out"
    )

    @property
    def canonical(self) -> bool:
        """Whether numbers of this profile may be quoted."""
        return self.profile != "quick"

    @property
    def draws(self) -> int:
        """Sets of layer parameters that this profile simulates."""
        return self.layer_draws.get(self.profile, 1)
