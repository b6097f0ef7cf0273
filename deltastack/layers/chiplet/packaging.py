"""Packaging: the logic in several smaller dies that yield better, against bonding, links and substrate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from deltastack.fleet.physics import packaging
from deltastack.fleet.physics.packaging import Bonding  # noqa: TC001 - read at run time by pydantic
from deltastack.layers.chiplet.silicon import SiliconParams, logic_mm2
from deltastack.layers.technique import Technique

if TYPE_CHECKING:
    from deltastack.fleet.deployment import Deployment


class PackagingParams(SiliconParams):
    """How many dies, how bonded, against which monolith."""

    chiplets: int = Field(ge=1)
    bonding: Bonding
    baseline: Bonding
    """What the monolith stands on: an interposer where it needs one for its memory."""
    link_area_share: float = Field(ge=0)
    crossing_share: float = Field(ge=0, le=1, description="of memory bytes that are read from another die's memory")
    link_j_per_bit: float = Field(ge=0)


class ChipletPackaging(Technique[PackagingParams]):
    """The same processor in pieces: its cost to make changes by yield and bonding, and bits that cross dies take energy.

    The testbed cannot cut its processor while it runs.
    """

    name = "packaging"
    params = PackagingParams

    def rewrite(self, deployment: Deployment, p: PackagingParams) -> Deployment:
        """The deployment on accelerators of ``p.chiplets`` dies.

        Raises:
            OutOfValidityError: The platform is no single die of known area.
        """
        area = logic_mm2(deployment)
        process = p.process(p.link_area_share)
        pieces_usd = packaging.package_usd(area, p.chiplets, p.bonding, process)
        whole_usd = packaging.package_usd(area, 1, p.baseline, process)
        crossing = p.crossing_share if p.chiplets > 1 else 0.0
        package = deployment.packaging
        pieces = replace(
            package,
            maker_usd=package.maker_usd + pieces_usd - whole_usd,
            crossing_share=crossing,
            link_j_per_bit=p.link_j_per_bit if crossing else 0.0,
        )
        words = (
            f"{area:.0f} mm2 of logic in {p.chiplets} on {p.bonding} cost their maker {pieces_usd:.0f} USD, one die on "
            f"{p.baseline} {whole_usd:.0f} USD; passed on at cost over the accelerator's life, its price does not scale with it; "
            f"{crossing:.0%} of memory bytes cross dies at {p.link_j_per_bit * 1e12:.2f} pJ/bit"
        )
        return replace(deployment, packaging=pieces).noted(self.name, words)

    def control(self, p: PackagingParams) -> PackagingParams:
        """One die, bonded as the monolith is."""
        return p.model_copy(update={"chiplets": 1, "bonding": p.baseline})
