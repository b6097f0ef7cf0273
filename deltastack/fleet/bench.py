"""The fleet bench: a deployment and a workload in, usage by component and resource out.

operator tables -> effects of the deployment's fields -> room for keys and values -> simulation -> charges
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltastack.errors import ParamsError
from deltastack.fleet import memory
from deltastack.fleet.effects import arithmetic, kv_tier, schedule
from deltastack.fleet.operators import load_tables
from deltastack.fleet.simulator import Config

if TYPE_CHECKING:
    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.operators import OperatorTables
    from deltastack.fleet.platform import Platform
    from deltastack.fleet.settings import FleetParams
    from deltastack.fleet.simulator import Requests

_WORDS = {"encoder.placement": ("inline", "pool")}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """Everything that one simulation needs, effects applied."""

    deployment: Deployment
    platform: Platform
    tables: OperatorTables
    requests: Requests
    config: Config
    residents: memory.Residents


def prepare(deployment: Deployment, requests: Requests, platform: Platform, values: FleetParams) -> Prepared:
    """Tables and requests as the deployment changes them, and how its replicas schedule.

    Raises:
        UnknownNameError: No operator times for the model on the platform.
        CapacityError: The model does not fit.
        OutOfValidityError: A field for which there is no model.
        ParamsError: A word that no field knows.
    """
    _known_words(deployment)
    tables = load_tables(deployment.model, deployment.platform, deployment.precision, deployment.tensor_parallel)
    tables = schedule.tables(arithmetic.tables(tables, deployment, platform), deployment, platform)
    inside = memory.residents(tables, platform, deployment, values.memory)
    batching, encoder = deployment.batching, deployment.encoder
    config = Config(
        replicas=deployment.replicas,
        router=deployment.router,
        token_budget=batching.token_budget,
        max_sequences=batching.max_sequences,
        policy=batching.policy,
        kv_policy=batching.kv_policy,
        kv_capacity_tokens=int(inside.kv // tables.kv_bytes_per_token),
        host_step_s=deployment.host_step_s,
        host_sequence_s=deployment.host_sequence_s,
        encoder_pool=encoder.pool_size if encoder.placement == "pool" else 0,
    )
    return Prepared(
        deployment=deployment,
        platform=platform,
        tables=tables,
        requests=kv_tier.requests(requests, deployment, tables),
        config=config,
        residents=inside,
    )


def _known_words(deployment: Deployment) -> None:
    for name, allowed in _WORDS.items():
        group, key = name.split(".")
        found = getattr(getattr(deployment, group), key)
        if found not in allowed:
            raise ParamsError(f"{name} = {found!r}, must be one of {', '.join(allowed)}")
    if deployment.encoder.placement == "pool" and deployment.encoder.pool_size < 1:
        raise ParamsError("encoder.placement = 'pool' needs encoder.pool_size of at least 1")
