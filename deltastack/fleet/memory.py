"""What lies in the memory of one accelerator: weights, workspace, and the room left for keys and values.

    kv_bytes = memory_fraction memory_bytes - weight_bytes - workspace_bytes [- encoder_weight_bytes - encoder_activation_bytes]
    workspace_bytes = activation_bytes_per_element token_budget hidden_size / tensor_parallel

The part in brackets only where the encoder runs on the language model's accelerators.
Source: this project; engines leave out the encoder in their own estimate and then run out of memory on the first large image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deltastack.errors import CapacityError

if TYPE_CHECKING:
    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.operators import OperatorTables
    from deltastack.fleet.settings import MemoryUse


class Residents(NamedTuple):
    """Bytes of one accelerator of a replica, by what lies in them."""

    weights: float
    encoder: float
    """Weights and activations of an inline encoder."""
    workspace: float
    kv: float
    """Room for keys and values."""
    unused: float
    """Memory that the engine is told to leave alone."""


def residents(tables: OperatorTables, platform: Platform, deployment: Deployment, use: MemoryUse) -> Residents:
    """What lies in the memory of one accelerator; the parts sum to ``platform.memory_bytes``.

    Raises:
        CapacityError: Nothing is left for keys and values; the message says what would fit.
    """
    inline = tables.multimodal and deployment.encoder.placement == "inline"
    encoder = tables.encoder_weight_bytes + use.encoder_activation_bytes if inline else 0.0
    budget = deployment.batching.token_budget or platform.token_budget
    workspace = use.activation_bytes_per_element * budget * tables.hidden_size / deployment.tensor_parallel
    usable = deployment.batching.memory_fraction * platform.memory_bytes
    kv = usable - tables.weight_bytes - encoder - workspace
    if kv < tables.kv_bytes_per_token:
        need = usable - kv + tables.kv_bytes_per_token
        raise CapacityError(
            f"{tables.model} in {tables.precision} does not fit on {platform.name} x {deployment.tensor_parallel}: it needs more "
            f"than {need / 1e9:.1f} GB an accelerator ({tables.weight_bytes / 1e9:.1f} weights, {encoder / 1e9:.1f} encoder, "
            f"{workspace / 1e9:.1f} workspace), there are {usable / 1e9:.1f}; more tensor parallelism, a lower precision, a "
            f"smaller token budget or an accelerator with more memory would fit"
        )
    return Residents(
        weights=tables.weight_bytes, encoder=encoder, workspace=workspace, kv=kv, unused=platform.memory_bytes - usable
    )
