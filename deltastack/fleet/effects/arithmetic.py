"""Operator times under another arithmetic: sparsity, approximations, precision by parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.errors import OutOfValidityError
from deltastack.fleet.deployment import Arithmetic

if TYPE_CHECKING:
    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.operators import OperatorTables
    from deltastack.fleet.platform import Platform


def tables(tables: OperatorTables, deployment: Deployment, platform: Platform) -> OperatorTables:
    """``tables`` with the deployment's arithmetic: the identity for the arithmetic that they were made for.

    Raises:
        OutOfValidityError: Factors for which there is no model.
    """
    if deployment.arithmetic == Arithmetic():
        return tables
    raise OutOfValidityError(
        f"no model of {deployment.arithmetic} on {platform.name}: operator times are those of {tables.precision} only"
    )
