"""Energy of the bits of accelerator memory, and of bits between dies: what another package changes of them.

    weight bytes = steps (decoder weights without the embedding table)       each step reads them once, whatever its batch
    kv bytes     = (decode context + prefill prefix + tokens written) kv bytes a token
    energy_j(c)  = 8 bytes(c) (dram_j_per_bit (dram_energy_factor - 1) + crossing_share link_j_per_bit)
                 + link_energy_j_per_token tokens      in other

with c = attention, ffn, other.

It is a change beside what the power model gives: 0 for the platform as sold.

Source: physics/links. Assumes: the encoder and activations are not counted, so both sides are understated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.errors import OutOfValidityError
from deltastack.fleet.effects import weights
from deltastack.fleet.effects.recompute import kv_bytes
from deltastack.fleet.physics.links import BITS
from deltastack.model import Component

if TYPE_CHECKING:
    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.operators import OperatorTables
    from deltastack.fleet.simulator import Result


def step_bytes(tables: OperatorTables, deployment: Deployment) -> dict[Component, float]:
    """Weight bytes that one step of one accelerator of a replica reads, by component; embeddings are looked up, not read.

    Where feed-forward has accelerators of its own, a replica's step makes its share of their reads.

    Raises:
        UnknownNameError: No shapes of the model.
    """
    held = weights.by_component(tables)
    read = {**held, Component.OTHER: held[Component.OTHER] / weights.ENDS}
    if deployment.schedule.kind == "disaggregated":
        read[Component.ATTENTION] += read[Component.FFN]
        apart = weights.feed_forward_apart(tables)
        read[Component.FFN] = apart * deployment.schedule.ffn_accelerators_per_replica
    return read


def dram_bytes(result: Result, tables: OperatorTables, deployment: Deployment) -> dict[Component, float]:
    """Bytes of accelerator memory that serving moved, by component, over all replicas.

    Raises:
        UnknownNameError: No shapes of the model.
    """
    passes = result.steps * tables.tensor_parallel
    moved = {c: passes * read for c, read in step_bytes(tables, deployment).items()}
    tokens = result.decode_kv_token_steps + result.prefill_prefix_tokens + result.prefill_tokens + result.decode_sequence_steps
    moved[Component.ATTENTION] += tokens * kv_bytes(tables)
    return moved


def energy_j(result: Result, tables: OperatorTables, deployment: Deployment) -> dict[Component, float]:
    """Energy [J] beside the power model's, over all replicas and the whole run; empty for the platform as sold.

    Raises:
        UnknownNameError: No shapes of the model.
        OutOfValidityError: A factor on memory energy of which the energy is not known, or a share outside 0..1.
    """
    package = deployment.packaging
    if package.dram_energy_factor != 1 and package.dram_j_per_bit <= 0:
        raise OutOfValidityError("packaging.dram_energy_factor needs packaging.dram_j_per_bit: a factor on an unknown energy")
    if not 0 <= package.crossing_share <= 1:
        raise OutOfValidityError(f"packaging.crossing_share is a share in 0..1, found {package.crossing_share}")
    per_bit = package.dram_j_per_bit * (package.dram_energy_factor - 1) + package.crossing_share * package.link_j_per_bit
    hops = package.link_energy_j_per_token * (result.prefill_tokens + result.decode_sequence_steps)
    if per_bit == 0 and hops == 0:
        return {}
    found = {c: BITS * moved * per_bit for c, moved in dram_bytes(result, tables, deployment).items()}
    found[Component.OTHER] += hops
    return found
