"""A deployment: the immutable description of what serves the workload, which techniques rewrite.

Every technique of every layer is a pure function Deployment -> Deployment, so any set of layers can be
on at once. ``fleet.bench.run`` turns a deployment and a workload into usage.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """Continuous batching as vLLM does it by default."""

    token_budget: int = 8192
    max_sequences: int = 256
    policy: str = "mixed"
    """``mixed`` (chunked prefill beside decode) or ``prefill_first``."""
    kv_policy: str = "on_demand"
    """``on_demand`` (recompute the last in when memory is full) or ``reserve``."""
    memory_fraction: float = 0.92


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """Where images are encoded, and what the silicon does between images."""

    placement: str = "inline"
    """``inline`` (on the language model's accelerators) or ``pool`` (its own)."""
    pool_size: int = 0
    always_run: bool = False
    """A fixed-graph server that encodes a blank image for text: never the fair baseline."""
    sleep_policy: str = "always_on"
    """``always_on``, ``timeout``, ``randomised`` or ``oracle``; only a pool can sleep."""
    timeout_s: float = 0.0
    wake_s: float = 0.0
    wake_j: float = 0.0
    sleep_w: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KvTier:
    """Prefixes and image embeddings kept below accelerator memory and restored on a hit."""

    hit_share: float = 0.0
    """Share of prefix tokens found on the tier, where the workload does not say itself."""
    read_bytes_per_s: float = 0.0
    latency_s: float = 0.0
    read_slowdown: float = 1.0
    """Mean read latency over an idle drive's: what contention with writes costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How attention and feed-forward share accelerators: ``colocated`` or ``disaggregated``."""

    kind: str = "colocated"
    micro_batches: int = 1
    attention_per_ffn: float = 1.0
    hop_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """Factors on operator times by component and class, from precision, sparsity and approximations."""

    gemm_time_factor: Mapping[str, float] = field(default_factory=dict)
    attention_time_factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Packaging:
    """Relative price and power of one accelerator: 1.0 is the platform as sold."""

    capital_factor: float = 1.0
    dram_energy_factor: float = 1.0
    link_energy_j_per_token: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Host memory a replica provisions, and what a pool makes of it."""

    host_bytes_per_replica: float = 0.0
    pooled_share: float = 0.0
    pool_saving: float = 0.0
    pool_latency_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """How many replicas are powered: ``fixed`` or ``demand``, with cold starts."""

    policy: str = "fixed"
    timeout_s: float = 0.0
    cold_start_s: float = 0.0
    cold_start_j: float = 0.0
    load_bytes: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What serves the workload. Techniques return ``replace``d copies; nothing is changed in place."""

    model: str
    platform: str
    precision: str = "bf16"
    tensor_parallel: int = 1
    replicas: int = 1
    router: str = "round_robin"
    host_step_s: float = 0.0
    host_sequence_s: float = 0.0
    batching: Batching = field(default_factory=Batching)
    encoder: Encoder = field(default_factory=Encoder)
    kv_tier: KvTier = field(default_factory=KvTier)
    schedule: Schedule = field(default_factory=Schedule)
    arithmetic: Arithmetic = field(default_factory=Arithmetic)
    packaging: Packaging = field(default_factory=Packaging)
    memory: Memory = field(default_factory=Memory)
    autoscaling: Autoscaling = field(default_factory=Autoscaling)
    notes: Mapping[str, str] = field(default_factory=dict)
    """What each rewrite did, in words, by technique."""

    def noted(self, technique: str, words: str) -> Deployment:
        """The same deployment with one more note."""
        return replace(self, notes={**self.notes, technique: words})
