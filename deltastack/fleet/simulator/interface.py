"""What goes into the simulator and what comes out.

``simulate(tables, requests, config) -> Result`` is deterministic: same input, same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _not_told() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Requests:
    """A workload as arrays, (R,) each, in order of arrival (the columns of ``contracts.WORKLOAD``)."""

    arrival_s: NDArray[np.float64]
    images: NDArray[np.int64]
    image_tokens: NDArray[np.int64]
    """All visual tokens of the request, among its prompt tokens."""
    prompt_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    cached_tokens: NDArray[np.int64]
    """Leading prompt tokens whose keys and values need no compute (they occupy KV all the same); all but one at most."""
    cached_images: NDArray[np.int64]
    """Images whose embeddings need no encoder run."""
    delay_s: NDArray[np.float64]
    """Extra time between arrival (with an encoder pool: its encoding) and eligibility: restores, transfers, wake-ups."""
    told_tokens: NDArray[np.int64] = field(default_factory=_not_told)
    """Leading prompt tokens that an earlier request of the trace brought, still cached or not."""
    reuse_tokens: NDArray[np.int64] = field(default_factory=_not_told)
    """Room [tokens] in which they are still there, least recently used forgotten first."""
    reuse_requests: NDArray[np.int64] = field(default_factory=_not_told)
    """Earlier requests that brought them; 0 where the trace does not tell."""

    def __post_init__(self) -> None:
        """What is not told is 0 for every request."""
        for name in ("told_tokens", "reuse_tokens", "reuse_requests"):
            if not getattr(self, name).size:
                object.__setattr__(self, name, np.zeros(self.prompt_tokens.size, np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How one replica schedules, and how many there are."""

    replicas: int = 1
    router: str = "round_robin"
    """``round_robin`` (in order of admission), ``least_loaded`` (fewest prompt + output tokens of unfinished requests)
    or ``packed`` (the first replica that is awake and has room below ``pack_tokens``, else the least loaded awake)."""
    pack_tokens: int = 0
    """Packed: prompt + output tokens of unfinished requests up to which a replica takes more."""
    sleep_timeout_s: float = float("inf")
    """Packed: a replica that was idle for longer is asleep; the first never is."""
    cold_start_s: float = 0.0
    """Packed: from the request that finds no room anywhere until one that slept takes work; one wakes at a time."""
    token_budget: int = 8192
    max_sequences: int = 256
    policy: str = "mixed"
    """``mixed`` (decode tokens first, then chunks of prompts, in one step) or ``prefill_first`` (steps of prompts only)."""
    kv_policy: str = "on_demand"
    """``on_demand`` (the last in is evicted and recomputed when memory is full) or ``reserve`` (prompt + output at admission)."""
    kv_capacity_tokens: int
    host_step_s: float = 0.0
    host_sequence_s: float = 0.0
    host_visual_token_s: float = 0.0
    """Host time of each visual token that is encoded inline, in the step that encodes it; an encoder pool's is its own host's."""
    encoder_pool: int = 0
    """Encoder accelerators apart from the replicas, served first in, first out; 0 encodes inline, before a step."""
    encoder_budget: int = 8192
    """Inline: visual tokens that are encoded before one step at most; a step that has encoded none takes one image at least."""
    clients: int = 0
    """Closed loop: this many requests in flight, arrivals ignored; 0 is open loop."""
    macro_steps: bool = True
    """Jump over runs of decode-only steps; a jump ends at grid points, so the result is that of single steps up to rounding."""
    kv_bins: int = 0
    """Number of equal time bins in which KV occupancy is recorded; 0 records none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """Per request (R,), per replica (G,), and totals over the run, all times in seconds."""

    first_token_s: NDArray[np.float64]
    """(R,) clock time of the first output token; start is ``arrival_s`` (open) or admission (closed)."""
    finish_s: NDArray[np.float64]
    start_s: NDArray[np.float64]
    """(R,) the instant from which latency counts."""
    replica: NDArray[np.int64]
    encoder_s: float
    """Busy time, summed over replicas (inline) or over the encoder pool."""
    attention_s: float
    ffn_s: float
    other_s: float
    host_s: float
    image_host_s: float
    """Part of ``host_s``: the host's work for images, while the accelerator waits."""
    idle_s: float
    """Replica time with nothing to do, between time 0 and ``span_s``, summed over replicas."""
    encoder_idle_s: float
    """The same for the encoder pool (0 inline)."""
    asleep_s: float
    """Part of ``idle_s``: asleep."""
    waking_s: float
    """Part of ``idle_s``: between sleep and readiness."""
    cold_starts: int
    prefill_attention_s: float
    """Part of ``attention_s``: the attention core over chunks of prompts."""
    decode_attention_s: float
    """Part of ``attention_s``: the attention core of decoding; the rest of ``attention_s`` is projections."""
    logits_s: float
    """Part of ``other_s``."""
    gemm_s: NDArray[np.float64]
    """(3,) matrix multiplication inside ``attention_s``, ``ffn_s`` and ``other_s`` (logits not counted)."""
    prefill_s: float
    """Busy time of steps that carried prompt tokens (a second split of the same busy time)."""
    span_s: float
    """From time 0 to the last finish."""
    steps: int
    decode_sequence_steps: float
    """Sum over steps of decoding sequences: mean batch = this / decode steps."""
    decode_steps: int
    preemptions: int
    sequence_steps: float
    """Sum over steps of all sequences in them, prefilling and decoding: host time = host_step_s steps + host_sequence_s this
    + host_visual_token_s visual tokens."""
    prefill_tokens: float
    """Prompt tokens computed, recomputed ones counted again: ``steps`` x weight bytes is read, this many keys are written."""
    prefill_prefix_tokens: float
    """Sum over chunks of the tokens already resident before them: keys read by prefill."""
    decode_kv_token_steps: float
    """Sum over steps of the context of every decoding sequence: keys read by decoding."""
    encoded_images: int
    steps_by_tokens: NDArray[np.int64]
    """(N,) number of steps that carried n tokens, n = 0 .. N-1."""
    peak_batch: int
    """Most sequences in one step."""
    extrapolated: tuple[str, ...]
    """Axes of the operator tables on which the run may have left the grid, each with its range and the grid's."""
    kv_token_s: float
    """Integral of resident KV tokens over time, summed over replicas."""
    kv_peak_tokens: NDArray[np.int64]
    """(G,)."""
    kv_bins_tokens: NDArray[np.float64]
    """(G, kv_bins) mean resident KV tokens in each bin; (G, 0) when not recorded."""
    idle_gap_s: NDArray[np.float64]
    """Every idle gap of every replica, in order of replica and time."""
    idle_gap_start_s: NDArray[np.float64]
    idle_gap_replica: NDArray[np.int64]
    encoder_gap_s: NDArray[np.float64]
    """Every idle gap of the encoder pool in order of encoder and time; none inline."""
    encoder_gap_start_s: NDArray[np.float64]
