"""A tier below accelerator memory: prefixes and image embeddings that come again are restored instead of computed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from deltastack.errors import OutOfValidityError
from deltastack.fleet.deployment import KvTier
from deltastack.fleet.effects import recompute
from deltastack.fleet.effects.kv_tier import coverage
from deltastack.fleet.operators import Known, known, load_tables
from deltastack.layers.technique import Technique
from deltastack.model import Params

if TYPE_CHECKING:
    from deltastack.fleet.deployment import Deployment

PREFIX_TOKENS = 1024
"""Length of prefix whose break-even bandwidth the note says."""


class KvTierParams(Params):
    """What comes again, and where it is kept."""

    medium: Literal["host", "flash"]
    hit_rate: float = Field(ge=0, le=1, description="of requests, where the workload does not tell its prefixes")
    covered_fraction: float = Field(ge=0, le=1, description="of such a request's prompt")
    image_hit_share: float = Field(ge=0, le=1, description="of requests with images")
    host_bytes_per_s: float = Field(gt=0)
    latency_s: float = Field(ge=0)
    write_share: float = Field(ge=0, le=1, description="of newly computed keys, values and embeddings")
    coverage: tuple[tuple[float, float], ...] = Field(description="points (share written, share of the reuse that it holds)")
    capacity_share: float = Field(ge=0, le=1, description="of the medium")
    mean_reuse_interval_s: float = Field(ge=0, description="mean time until a prefix comes again")


class KeyValueTier(Technique[KvTierParams]):
    """Keys and values written down as they are computed, and read back where that is quicker than computing them.

    The testbed's questions share no prefix.
    """

    name = "kv_tier"
    params = KvTierParams

    def rewrite(self, deployment: Deployment, p: KvTierParams) -> Deployment:
        """The deployment with a tier.

        Raises:
            OutOfValidityError: The medium is not there.
        """
        on_flash = p.medium == "flash"
        size = deployment.storage.drive_bytes if on_flash else deployment.memory.host_bytes_per_replica
        if not size:
            raise OutOfValidityError(f"a tier on {p.medium} needs it: its bytes are 0 in params/fleet.yaml")
        bandwidth = deployment.storage.read_bytes_per_s if on_flash else p.host_bytes_per_s
        kept = KvTier(
            medium=p.medium,
            hit_rate=p.hit_rate,
            covered_fraction=p.covered_fraction,
            image_hit_share=p.image_hit_share,
            read_bytes_per_s=bandwidth,
            latency_s=p.latency_s,
            write_share=p.write_share,
            coverage=p.coverage,
            capacity_bytes=p.capacity_share * size,
            mean_reuse_interval_s=p.mean_reuse_interval_s,
        )
        return replace(deployment, kv_tier=kept).noted(self.name, _words(deployment, p, kept))

    def control(self, p: KvTierParams) -> KvTierParams:
        """Nothing comes again, so nothing is kept."""
        return p.model_copy(update={"hit_rate": 0.0, "image_hit_share": 0.0, "write_share": 0.0})


def _words(deployment: Deployment, p: KvTierParams, kept: KvTier) -> str:
    bandwidth = kept.read_bytes_per_s
    return (
        f"prefixes on {p.medium} at {bandwidth / 1e9:.1f} GB/s; {_break_even(deployment, bandwidth)}; {p.hit_rate:.0%} of "
        f"requests come again for {p.covered_fraction:.0%} of their prompt (assumed); the {p.write_share:.0%} that is written "
        f"holds {coverage(kept):.0%} of that"
    )


def _break_even(deployment: Deployment, bandwidth: float) -> str:
    """Whether restoring pays at ``bandwidth`` [B/s], where measured operator times say what computing takes."""
    key = Known(deployment.model, deployment.platform, deployment.precision, deployment.tensor_parallel)
    if key not in known():
        return "each prefix is weighed when it is served, by the roofline"
    least = recompute.break_even_bytes_per_s(load_tables(*key), PREFIX_TOKENS)
    pays = "pays" if bandwidth > least else "does not pay"
    return f"restoring {PREFIX_TOKENS} tokens is quicker than computing them above {least / 1e9:.1f} GB/s, so it {pays}"
