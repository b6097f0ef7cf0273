"""Logic area of the platforms, and the process parameters that packaging techniques share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from deltastack.errors import OutOfValidityError
from deltastack.fleet.physics.packaging import Process, Yield
from deltastack.model import Params

if TYPE_CHECKING:
    from deltastack.fleet.deployment import Deployment

LOGIC_MM2 = {"h100_sxm": 814.0, "h100_pcie": 814.0, "h200_sxm": 814.0, "a100_sxm": 826.0, "l40s": 609.0, "l4": 294.0}
"""Die areas. Source: NVIDIA architecture white papers (GA100 826, GH100 814 mm2; AD102 608.5, AD104 294.5 mm2)."""
STACKED_MEMORY = ("h100_sxm", "h100_pcie", "h200_sxm", "a100_sxm", "b200_sxm")
"""Platforms whose memory comes in stacks on an interposer."""


class SiliconParams(Params):
    """Yield and bonding of a 5 nm class process; what is not here is as in ``physics.packaging.Process``."""

    defects_per_mm2: float = Field(ge=0)
    cluster: float = Field(gt=0)
    bond_yield: float = Field(gt=0, le=1)
    yield_model: Yield = Yield.NEGATIVE_BINOMIAL

    def process(self, link_area_share: float = 0.0) -> Process:
        """The process with these values."""
        return Process(
            defects_per_mm2=self.defects_per_mm2,
            cluster=self.cluster,
            bond_yield=self.bond_yield,
            link_area_share=link_area_share,
            model=self.yield_model,
        )


def logic_mm2(deployment: Deployment) -> float:
    """Area of the platform's single logic die.

    Raises:
        OutOfValidityError: It is not known, or there are several dies already.
    """
    if deployment.platform not in LOGIC_MM2:
        raise OutOfValidityError(
            f"no single logic die of known area on {deployment.platform} (b200 is sold as two); there are: {', '.join(LOGIC_MM2)}"
        )
    return LOGIC_MM2[deployment.platform]
