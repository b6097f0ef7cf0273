"""Memory on logic: stacks bonded onto the processor, so that most of the interface between them goes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from deltastack.errors import OutOfValidityError
from deltastack.fleet.physics import links, packaging
from deltastack.layers.chiplet.silicon import STACKED_MEMORY, SiliconParams, logic_mm2
from deltastack.layers.technique import Technique

if TYPE_CHECKING:
    from deltastack.fleet.deployment import Deployment


class MemoryOnLogicParams(SiliconParams):
    """Energy of a bit, the interface's part of it, and the stacks."""

    dram_j_per_bit: float = Field(gt=0)
    interface_j_per_bit: float = Field(ge=0)
    stacks: int = Field(ge=0)
    """Stacks on the logic; 0: they stay beside it."""
    stack_usd: float = Field(ge=0)


class MemoryOnLogic(Technique[MemoryOnLogicParams]):
    """Saves the interface's energy of every bit; making it costs an interposer less, and what failed bonds take along.

    The testbed's memory stays where it is.
    """

    name = "memory_on_logic"
    params = MemoryOnLogicParams

    def rewrite(self, deployment: Deployment, p: MemoryOnLogicParams) -> Deployment:
        """The deployment with its memory on top of its logic.

        Raises:
            OutOfValidityError: No stacked memory or no single logic die of known area on the platform, or an interface that
                takes more than the whole bit.
        """
        if deployment.platform not in STACKED_MEMORY:
            raise OutOfValidityError(
                f"{deployment.platform} has no memory in stacks to put on its logic; those that have: {', '.join(STACKED_MEMORY)}"
            )
        saved = links.interface_saving(p.interface_j_per_bit, p.dram_j_per_bit) if p.stacks else 0.0
        change_usd = _change_usd(logic_mm2(deployment), p) if p.stacks else 0.0
        package = deployment.packaging
        stacked = replace(
            package,
            dram_j_per_bit=p.dram_j_per_bit,
            dram_energy_factor=package.dram_energy_factor * (1 - saved),
            maker_usd=package.maker_usd + change_usd,
        )
        words = (
            f"{p.interface_j_per_bit * 1e12:.1f} of {p.dram_j_per_bit * 1e12:.1f} pJ/bit is the interface that {p.stacks} stacks "
            f"on the logic do without: {saved:.0%} of memory energy; {change_usd:+.0f} USD for the maker of logic and memory"
        )
        return replace(deployment, packaging=stacked).noted(self.name, words)

    def control(self, p: MemoryOnLogicParams) -> MemoryOnLogicParams:
        """No stack on the logic."""
        return p.model_copy(update={"stacks": 0})


def _change_usd(area_mm2: float, p: MemoryOnLogicParams) -> float:
    """Cost to make logic with its memory, after less before."""
    process = p.process()
    on_top, beside = (packaging.with_memory_usd(area_mm2, p.stacks, p.stack_usd, process, stacked=s) for s in (True, False))
    return on_top - beside
