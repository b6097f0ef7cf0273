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
LARGE_BOARD_BYTES = 70 * 2**30


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

    @property
    def token_budget(self) -> int:
        """Tokens a step that vLLM's server takes by default on this board: 8192 from 70 GiB up, 2048 below, and on an A100.

        Source: vLLM, EngineArgs, default of max_num_batched_tokens by device memory and name (2026-08).
        """
        large = self.memory_bytes >= LARGE_BOARD_BYTES and not self.name.startswith("a100")
        return 8192 if large else 2048

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
