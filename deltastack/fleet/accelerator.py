"""An accelerator as params/platforms/NAME.yaml describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from deltastack import params
from deltastack.errors import UnknownNameError
from deltastack.model import Params

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "params/platforms"


class Platform(Params):
    """Figures of one accelerator, from its data sheet unless ``notes`` say otherwise."""

    name: str
    source: str
    date: str
    memory_bytes: float = Field(gt=0)
    memory_bytes_per_s: float = Field(gt=0)
    board_w: float = Field(gt=0)
    """Board power limit."""
    flop_per_s: dict[str, float]
    """Dense peak by precision."""
    link_bytes_per_s: float = Field(gt=0)
    """To the other accelerators of its node, one direction."""
    exponentials_per_s: float | None = None
    notes: str = ""

    def peak(self, precision: str) -> float:
        """Dense peak [FLOP/s] in a precision.

        Raises:
            UnknownNameError: The platform has no such arithmetic.
        """
        if precision not in self.flop_per_s:
            raise UnknownNameError(f"{self.name} has no {precision} arithmetic; it has: {', '.join(self.flop_per_s)}")
        return self.flop_per_s[precision]


def platforms(root: Path) -> tuple[str, ...]:
    """The platforms that the checkout describes."""
    return tuple(sorted(p.stem for p in (root / FOLDER).glob("*.yaml")))


def load(root: Path, name: str) -> Platform:
    """One platform.

    Raises:
        UnknownNameError: No such file.
        ParamsError: It does not hold.
    """
    if name not in platforms(root):
        raise UnknownNameError(f"no platform '{name}' in {FOLDER}; there are: {', '.join(platforms(root))}")
    return params.load(root / FOLDER / f"{name}.yaml", Platform)
