"""Zoned drives (ZNS, or placement hints): the host deletes whole zones, so the drive cleans nothing and needs no spare flash."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from deltastack.errors import OutOfValidityError
from deltastack.layers.technique import Technique
from deltastack.model import Params

if TYPE_CHECKING:
    from deltastack.fleet.deployment import Deployment


class ZnsParams(Params):
    """What is left of cleaning and of spare flash."""

    gc_fraction_remaining: float = Field(ge=0, le=1, description="share of the write amplification above 1")
    overprovisioning_fraction_remaining: float = Field(ge=0, le=1, description="share of the spare flash")


class Zns(Technique[ZnsParams]):
    """The same drive in zones: less write amplification, less spare flash. The testbed has no zoned drive."""

    name = "zns"
    params = ZnsParams

    def rewrite(self, deployment: Deployment, p: ZnsParams) -> Deployment:
        """The deployment on zoned drives.

        Raises:
            OutOfValidityError: It has no drive.
        """
        drive = deployment.storage
        if not drive.drive_bytes:
            raise OutOfValidityError("zones need a drive: deployment.storage.drive_bytes is 0 in params/fleet.yaml")
        amplification = 1 + (drive.write_amplification - 1) * p.gc_fraction_remaining
        zoned = replace(
            drive, write_amplification=amplification, spare_share=drive.spare_share * p.overprovisioning_fraction_remaining
        )
        words = (
            f"write amplification {drive.write_amplification:.2f} to {amplification:.2f}, spare flash {drive.spare_share:.0%} to "
            f"{zoned.spare_share:.0%}; weights are read only: requests change only where a tier writes to the drive"
        )
        return replace(deployment, storage=zoned).noted(self.name, words)

    def control(self, p: ZnsParams) -> ZnsParams:
        """All of the cleaning and all of the spare flash are left."""
        return p.model_copy(update={"gc_fraction_remaining": 1.0, "overprovisioning_fraction_remaining": 1.0})
