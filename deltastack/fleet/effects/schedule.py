"""Operator times under another schedule: attention and feed-forward apart, layers placed on several dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.errors import OutOfValidityError
from deltastack.fleet.deployment import Placement, Schedule

if TYPE_CHECKING:
    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.operators import OperatorTables
    from deltastack.fleet.platform import Platform


def tables(tables: OperatorTables, deployment: Deployment, platform: Platform) -> OperatorTables:
    """``tables`` with the deployment's schedule: the identity where everything runs on the same accelerators.

    Raises:
        OutOfValidityError: A schedule for which there is no model.
    """
    if deployment.schedule == Schedule() and deployment.placement == Placement():
        return tables
    raise OutOfValidityError(
        f"no model of {deployment.schedule} with {deployment.placement} for {tables.model} on {platform.name}; "
        f"there is: colocated on one die"
    )
