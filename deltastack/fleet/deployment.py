"""A deployment: the immutable description of what serves the workload, which techniques rewrite.

Every technique of every layer is a pure function Deployment -> Deployment, so any set of layers can be
on at once. ``fleet.bench.run`` turns a deployment and a workload into usage.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BOARDS_OWN = 0
"""A token budget that is the engine's default on its board (``accelerator.Platform.token_budget``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """Continuous batching as vLLM does it by default."""

    token_budget: int = BOARDS_OWN
    max_sequences: int = 256
    encoder_budget: int = 8192
    """Visual tokens that are encoded before one step at most, where the encoder is inline; vLLM's is its token budget."""
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
    wake_s: float = 0.0
    wake_share: float = 0.0
    """Power while waking, as a share of the board limit."""
    sleep_state: str = "context"
    """What an encoder asleep draws: ``context`` (as idle: its clocks stay up, whatever its memory holds) or ``no_process`` (its
    context was torn down); the timeout is the gap in which the difference pays for waking."""
    reloads: bool = False
    """Whether waking loads the weights from storage again: the context was torn down."""
    transfer_bytes_per_s: float = 0.0
    """From a pool to the language model, for embeddings; 0 takes no time."""
    transfer_latency_s: float = 0.0
    """Before the first byte of a request's embeddings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KvTier:
    """Prefixes and image embeddings kept below accelerator memory and restored on a hit."""

    medium: str = "none"
    """``none``, ``flash`` (the replica's drive) or ``host`` (its host memory over the bus)."""
    hit_rate: float = 0.0
    """Share of requests whose prefix comes again, where the workload does not tell; where it does, none is assumed beside it."""
    covered_fraction: float = 0.0
    """Share of such a request's prompt that the prefix covers."""
    image_hit_share: float = 0.0
    """Share of requests with images whose embeddings are found."""
    read_bytes_per_s: float = 0.0
    """Of one replica's tier, without writes beside the reads."""
    latency_s: float = 0.0
    """Before the first byte: software and bus."""
    write_share: float = 1.0
    """Share of the newly computed keys, values and embeddings that is written to the tier."""
    coverage: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 1.0))
    """Points (share written, share of the reuse that it holds), from (0, 0) to (1, 1), straight between."""
    capacity_bytes: float = 0.0
    """Of one replica's tier; what was written is kept until so much has been written after it."""
    mean_reuse_interval_s: float = 0.0
    """Mean time until a prefix that comes again comes again; 0: not told, so nothing is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The flash drive of a replica: weights are loaded from it, and a tier of keys and values may live on it."""

    drive_bytes: float = 0.0
    """Capacity that is sold; 0: no drive is accounted for."""
    read_bytes_per_s: float = 0.0
    """Sequential reads of an idle drive."""
    spare_share: float = 0.0
    """Flash beyond the capacity that is sold, as a share of it: where cleaning happens."""
    write_amplification: float = 1.0
    """Bytes programmed over bytes written, for what a tier writes."""
    scheduler: str = "read_priority"
    """``first_come``, ``read_priority`` or ``suspend``: what a die does when a read waits."""
    dies: int = 64
    page_read_s: float = 60e-6
    program_s: float = 700e-6
    erase_s: float = 3.5e-3
    block_bytes: int = 4096
    """Unit of a direct read."""
    aligned: bool = False
    """Whether every tensor of the weights' file starts on a block."""
    copy_bytes_per_s: float = 10e9
    """Of the copy out of a bounce buffer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How a split of accelerators is searched that is not chosen yet."""

    most_micro_batches: int = 1
    variation: float = 0.0
    """Coefficient of variation of the step times, for the efficiencies."""
    batch: float = 1.0
    """Decoding sequences an accelerator at which efficiencies are taken, and the search begins."""
    context_tokens: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How attention and feed-forward share accelerators: ``colocated`` or ``disaggregated``.

    Disaggregated, a replica is one accelerator of the attention pool, and the feed-forward accelerators beside it.
    """

    kind: str = "colocated"
    ffn_accelerators_per_replica: float = 0.0
    """Feed-forward accelerators over attention accelerators."""
    hop_s: float = 0.0
    """Time of one message between the pools, beside its bytes."""
    link_bytes_per_s: float = 0.0
    efficiency: tuple[float, ...] = (1.0,)
    """Rate of the loop with noise in the step times over its rate without, by number of micro-batches from one on; a step takes
    the number that is quickest for it."""
    search: Search | None = None
    """Set while ``replicas`` counts the accelerators of both pools: the bench chooses the split that serves the largest rate
    within the goals (``effects.split``), which sets ``replicas``, ``ffn_accelerators_per_replica`` and ``efficiency``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A matrix kernel as it was measured: its time over that of the dense 16-bit kernel, by tokens."""

    platform: str
    precision: str
    """Of the weights it was measured with."""
    kept: int = 1
    group: int = 1
    tokens: tuple[float, ...] = ()
    factor: tuple[float, ...] = ()
    """One a token count; above 1 it is slower than the dense kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """What is computed otherwise than the operator times were measured: sparse weights, another kernel of the same precision.

    Precision is a field of the deployment: operator times are measured for it.
    """

    kept: int = 1
    """Of every ``group`` weights; 1 of 1 is dense."""
    group: int = 1
    byte_efficiency: float = 1.0
    """What the sparse kernel reaches of the dense one's bytes a second."""
    compute_efficiency: float = 1.0
    """What it reaches of twice (in general M / N times) the dense one's operations a second."""
    sparse_kernel: Kernel | None = None
    """Measured; it comes before the efficiencies on the platform, precision and pattern that it was measured for."""
    precise_kernel: Kernel | None = None
    """Of the deployment's precision, measured: a second source beside the operator tables."""
    precise_share: float = 0.0
    """How far products go from the tables' times (0) to those of ``precise_kernel`` (1), in logarithm."""
    exponential_saving: float = 0.0
    """Share of the time of softmax's exponentials that an approximation saves: it changes no time, since how much kernels hide
    cannot be told from the operator times; its ceiling is said in words."""
    peak_share: float = 0.7
    """Share of peak operations that a dense kernel reaches; with the next it places the knee."""
    bandwidth_share: float = 0.8
    """Share of the memory's bytes a second that a dense kernel reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packaging:
    """What another package changes of one accelerator: the platform as sold is the default."""

    maker_usd: float = 0.0
    """What it costs to make, less what the platform as sold costs to make; negative is a saving. A cost is not a price."""
    dram_energy_factor: float = 1.0
    """Energy of a bit of accelerator memory over that of the platform as sold."""
    dram_j_per_bit: float = 0.0
    """Of the platform as sold; 0: not known, and ``dram_energy_factor`` is refused."""
    link_energy_j_per_token: float = 0.0
    """Of activations between dies."""
    link_j_per_bit: float = 0.0
    """Of a bit that crosses from one die to another."""
    crossing_share: float = 0.0
    """Share of the bytes of accelerator memory that cross to another die."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Transformer layers on separate dies of one accelerator, each with its share of arithmetic and bandwidth."""

    dies: int = 1
    micro_batches: int = 1
    hop_s: float = 0.0
    link_bytes_per_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Host memory a replica provisions, and what a pool makes of it."""

    host_bytes_per_replica: float = 0.0
    pooled_share: float = 0.0
    """Share of it that may live on a pool; 0: no pool."""
    pool_hosts: int = 0
    """Most replicas behind one pool."""
    pool_overhead_share: float = 0.0
    """Price of controllers, switches and ports over the price of the memory that replicas give to the pool."""
    pool_bytes_per_s: float = 0.0
    pool_latency_s: float = 0.0
    live_share: float = 0.0
    """Share of live keys and values kept on the pool, which is room won; above the spill threshold it is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """How many replicas are there: all (``fixed``), or as many as are needed (``demand``)."""

    policy: str = "fixed"
    """``demand``: replicas that a packing router leaves idle sleep, and wake one at a time."""
    timeout_s: float = float("inf")
    """Idle time after which a replica sleeps."""
    cold_start_s: float = 0.0
    cold_start_share: float = 0.0
    """Power of each of its accelerators meanwhile, as a share of the board limit."""
    sleep_state: str = "no_process"
    """What each accelerator of a replica asleep draws: ``context`` or ``no_process``, as for an encoder."""
    released: bool = False
    """Asleep is gone: its accelerators are charged to nobody until it starts again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What serves the workload. Techniques return ``replace``d copies; nothing is changed in place."""

    model: str
    platform: str
    precision: str = "bf16"
    tensor_parallel: int = 1
    replicas: int = 1
    router: str = "round_robin"
    """``round_robin``, ``least_loaded`` or ``packed`` (the first replica with room; which replicas sleep is another matter)."""
    pack_tokens: int = 0
    """Packed: prompt and output tokens of unfinished requests up to which a replica takes more."""
    host_step_s: float = 0.0
    host_sequence_s: float = 0.0
    host_visual_token_s: float = 0.0
    """Of each visual token, where it is encoded on the language model's accelerators."""
    batching: Batching = field(default_factory=Batching)
    encoder: Encoder = field(default_factory=Encoder)
    kv_tier: KvTier = field(default_factory=KvTier)
    schedule: Schedule = field(default_factory=Schedule)
    arithmetic: Arithmetic = field(default_factory=Arithmetic)
    storage: Storage = field(default_factory=Storage)
    placement: Placement = field(default_factory=Placement)
    packaging: Packaging = field(default_factory=Packaging)
    memory: Memory = field(default_factory=Memory)
    autoscaling: Autoscaling = field(default_factory=Autoscaling)
    notes: Mapping[str, str] = field(default_factory=dict)
    """What each rewrite did, in words, by technique."""

    def noted(self, technique: str, words: str) -> Deployment:
        """The same deployment with one more note."""
        return replace(self, notes={**self.notes, technique: words})
