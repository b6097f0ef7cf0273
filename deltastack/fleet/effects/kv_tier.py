"""Requests whose prefixes or image embeddings are restored from a tier below accelerator memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.errors import OutOfValidityError
from deltastack.fleet.deployment import KvTier

if TYPE_CHECKING:
    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.operators import OperatorTables
    from deltastack.fleet.simulator import Requests


def requests(requests: Requests, deployment: Deployment, tables: OperatorTables) -> Requests:
    """``requests`` with what the tier restores (``cached_tokens``, ``cached_images``) and its delay: the identity without a tier.

    Raises:
        OutOfValidityError: A tier for which there is no model.
    """
    if deployment.kv_tier == KvTier():
        return requests
    raise OutOfValidityError(f"no model of {deployment.kv_tier} for {tables.model}; there is: no tier")
