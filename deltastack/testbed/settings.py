"""params/testbed.yaml as types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from deltastack import params
from deltastack.errors import ParamsError
from deltastack.model import Params, cell_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Family = Literal["llava", "qwen3_vl", "smolvlm"]


class Shape(Params):
    """Widths and depths of a host; the feed-forward width is three times the hidden one, as in the Qwen3 family."""

    hidden: int = Field(gt=0)
    layers: int = Field(gt=0)
    heads: int = Field(gt=0)
    vocabulary: int = Field(ge=56)
    vision_hidden: int = Field(gt=0)
    vision_layers: int = Field(gt=0)
    vision_heads: int = Field(gt=0)
    image: int = Field(128, gt=0, description="side [pixel]")
    patch: int = Field(16, gt=0, description="side [pixel]")

    @model_validator(mode="after")
    def _divides(self) -> Shape:
        if self.hidden % self.heads or self.vision_hidden % self.vision_heads or self.image % self.patch:
            raise ValueError("hidden by heads, vision_hidden by vision_heads and image by patch must divide")
        return self


class SessionParams(Params):
    """One session."""

    batches: int = Field(gt=0)
    batch: int = Field(gt=0)
    text_tokens: int = Field(gt=0)
    new_tokens: int = Field(gt=0)
    mean_gap_s: float = Field(ge=0)
    start_serves: int | None = Field(default=None, gt=0, description="requests that one start serves; None: the session's own")
    seed: int


class VisionStage(Params):
    """Training of the encoder: ``grids`` images a step."""

    steps: int = Field(gt=0)
    grids: int = Field(gt=0)
    rate: float = Field(gt=0, description="peak learning rate")
    decay: float = Field(ge=0, description="weight decay")


class LanguageStage(VisionStage):
    """Training of the decoder: ``grids`` images and as many texts a step, ``questions`` about each."""

    questions: int = Field(gt=0)


class Trained(Params):
    """The default model and how it is trained."""

    shape: Shape
    vision: VisionStage
    language: LanguageStage
    seed: int
    held_out: int = Field(ge=64)
    least_accuracy: float = Field(ge=0, le=1)


class Distilled(Params):
    """The students of the default model and how they are taught."""

    kept: float = Field(gt=0, le=1, description="share of decoder layers; of a host with random weights as well")
    language: LanguageStage
    temperature: float = Field(gt=0, description="T of the soft targets")
    soft: float = Field(ge=0, le=1, description="share of the soft loss; the rest is the answers'")
    aligned: float = Field(ge=0, description="weight of the attention's loss beside the others")
    seed: int


class Retraining(Params):
    """How what is left after pruning is trained again: ``kept`` of the units, and the language stage."""

    kept: float = Field(gt=0, lt=1)
    language: LanguageStage


class Retrained(Params):
    """The pruned parts of the default model that are trained again, by technique; all but the part itself is held still."""

    head_pruning: Retraining
    weight_pruning: Retraining
    seed: int

    def of(self, technique: str) -> Retraining:
        """The values of ``technique``."""
        found: Retraining = getattr(self, technique)
        return found


class Limits(Params):
    """What is refused."""

    memory_bytes: float = Field(gt=0)


class Budget(Params):
    """How much time measuring may take."""

    starts: int = Field(gt=0, description="process starts")
    layer_s: float = Field(gt=0, description="one layer's experiment")
    joint_s: float = Field(gt=0, description="the factorial")
    layer_questions: int = Field(ge=32, description="held-out questions of each kind a technique answers")
    joint_questions: int = Field(ge=32, description="held-out questions of each kind a cell of the factorial answers")


class Repeats(Params):
    """Runs a block of the cells that the formulas' gap hangs on (``plan``); every other cell runs once."""

    base: int = Field(gt=0)
    alone: int = Field(gt=0, description="each cell of one layer")
    together: int = Field(gt=0, description="the cell of all layers")

    def of(self, cells: Iterable[str]) -> dict[str, int]:
        """Runs a block of the named ones among ``cells``.

        >>> Repeats(base=4, alone=2, together=3).of(["base", "idle", "storage", "chiplet", "idle+storage", "chiplet+idle+x"])
        {'base': 4, 'idle': 2, 'storage': 2, 'chiplet': 2, 'chiplet+idle+x': 3}
        """
        layers = {c: len(cell_of(c)) for c in cells}
        most = max(layers.values(), default=0)
        often = {0: self.base, most: self.together} | ({1: self.alone} if most else {})
        return {c: often[n] for c, n in layers.items() if n in often}


class Measuring(Params):
    """The experiment plan."""

    seed: int
    block_pairs: int = Field(gt=0)
    half_width: float = Field(gt=0, lt=1)
    repeats: Repeats
    budgets: dict[Literal["quick", "default", "long"], Budget]


class Testbed(Params):
    """The whole file."""

    profile: Literal["sized", "trained", "checkpoint"]
    checkpoint: str | None
    device: Literal["cpu", "cuda"]
    dtype: Literal["float32", "bfloat16"]
    threads: int = Field(gt=0)
    family: Family
    size: str
    session: SessionParams
    hosts: dict[str, Shape]
    trained: Trained
    students: Distilled
    retrained: Retrained
    limits: Limits
    measuring: Measuring

    def budget(self, profile: str) -> Budget:
        """What a profile of params/stack.yaml may spend.

        Raises:
            ParamsError: No budget of that name.
        """
        for name, budget in self.measuring.budgets.items():
            if name == profile:
                return budget
        there = ", ".join(self.measuring.budgets)
        raise ParamsError(f"measuring.budgets in params/testbed.yaml has no '{profile}'; it has: {there}")

    @model_validator(mode="after")
    def _known(self) -> Testbed:
        if self.size not in self.hosts:
            raise ValueError(f"size: no '{self.size}' in hosts; there are: {', '.join(self.hosts)}")
        if self.profile == "checkpoint" and not self.checkpoint:
            raise ValueError("profile: checkpoint needs `checkpoint: PATH`, a local folder")
        return self


def load(root: Path) -> Testbed:
    """The testbed's values.

    Raises:
        ParamsError: Values that do not hold; all are named.
    """
    return params.load(root / "params" / "testbed.yaml", Testbed)
