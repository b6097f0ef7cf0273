"""What the loop keeps: arrays of records, allocated once before it starts.

Waiting requests of a replica form a linked list through ``requests.after``, oldest first; an evicted one goes
back to its front. Decoding ones form a heap by the decode step in which they finish, so that a step touches
only those that end in it. ``order`` remembers the order of admission, for eviction of the last in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack.fleet.simulator.heap import ENTRY
from deltastack.fleet.simulator.tournament_tree import tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.simulator.interface import Config, Requests

NOBODY = -1


def _record(floats: str, integers: str) -> np.dtype[np.void]:
    """A record of float64 and int64 fields, named in two lists."""
    return np.dtype([(n, np.float64) for n in floats.split()] + [(n, np.int64) for n in integers.split()], align=True)


REQUEST = _record(
    "arrival_s delay_s image_size start_s first_token_s finish_s",
    "images encoded prompt output cached emitted replica after",
)
"""``images`` to encode, of ``image_size`` visual tokens each; ``encoded`` are; ``emitted`` output tokens at admission."""

REPLICA = _record(
    "clock_s next_s chunk_s image_s awake_s seen first_s growth_s attention_s",
    "first last partial partial_done decoding context resident committed step cell admitted load freed peak chunks tokens fresh "
    "run",
)
"""``clock_s`` end of the last step, ``next_s`` start of the next (inf: none in sight),
``awake_s`` end of the last cold start. ``context``: keys of the decoding
ones; ``resident``: keys in memory; ``committed``: what ``reserve`` holds. ``chunk_s .. fresh``: the step being built;
``seen``: the visual tokens encoded before it. ``run``: steps of the run of decode-only steps under way, 0 outside of one; its
first takes ``first_s``, with ``attention_s`` of attention, and each takes ``growth_s`` more than the one before."""

PLAN = _record(
    "host_step_s host_sequence_s host_visual_token_s bin_s timeout_s cold_s",
    "replicas least_loaded packed pack budget encoder_budget sequences prefill_first reserve capacity pool clients macro bins",
)

TOTAL = _record(
    "encoder_s prefill_attention_s decode_attention_s logits_s prefill_s kv_token_s decode_kv_token_steps prefill_prefix_tokens "
    "asleep_s waking_s image_host_s",
    "finished next_request future times steps decode_steps decode_sequence_steps sequence_steps preemptions prefill_tokens "
    "images peak_batch gaps encoder_gaps cold_starts",
)

GAP = _record("start_s length_s", "server")


class State(NamedTuple):
    """Everything the loop reads and writes, apart from the operator times."""

    requests: NDArray[np.void]
    replicas: NDArray[np.void]
    race: NDArray[np.int64]
    """Tree of winners over ``next_s``, see ``race``."""
    decoding: NDArray[np.void]
    """(G B) entries keyed by the decode step of the last token, one heap a replica."""
    order: NDArray[np.int64]
    """(G, 2 B) requests in order of admission, finished ones swept out when it is full."""
    fresh: NDArray[np.int64]
    """(B,) requests whose prompt ends in the step being built."""
    future: NDArray[np.void]
    """Heap of requests that are not yet eligible, keyed by when they will be."""
    times: NDArray[np.void]
    """Heap of the clock times at which clients of a closed loop come back."""
    encoder_free_s: NDArray[np.float64]
    """(E,) when each accelerator of the encoder pool is free; (1,) unused where images are encoded inline."""
    plan: NDArray[np.void]
    total: NDArray[np.void]
    gaps: NDArray[np.void]
    encoder_gaps: NDArray[np.void]
    kv_bins: NDArray[np.float64]
    """(G, bins) integral of resident tokens [token s]."""
    steps_by_tokens: NDArray[np.int64]


def allocate(requests: Requests, config: Config, bin_s: float) -> State:
    """The state before the first event."""
    count, replicas, most = requests.arrival_s.size, config.replicas, config.max_sequences
    later = count if config.encoder_pool > 0 or bool(np.any(requests.delay_s > 0)) else 1
    encoders = config.encoder_pool
    runs = int(np.count_nonzero(requests.images)) if encoders else 0
    return State(
        requests=_requests(requests),
        replicas=_replicas(replicas),
        race=tree(replicas),
        decoding=np.zeros(replicas * (most + 1), ENTRY),
        order=np.zeros((replicas, 2 * most + 2), np.int64),
        fresh=np.zeros(most + 1, np.int64),
        future=np.zeros(later, ENTRY),
        times=np.zeros(max(config.clients, 1), ENTRY),
        encoder_free_s=np.zeros(max(encoders, 1)),
        plan=_plan(config, bin_s),
        total=_total(config, count),
        gaps=np.zeros(count + replicas, GAP),
        encoder_gaps=np.zeros(max(runs + encoders, 1), GAP),
        kv_bins=np.zeros((replicas, config.kv_bins if bin_s > 0 else 0)),
        steps_by_tokens=np.zeros(max(config.token_budget, most) + 1, np.int64),
    )


def _requests(requests: Requests) -> NDArray[np.void]:
    """(R,) one record a request; at least one prompt token is always computed."""
    rows = np.zeros(requests.arrival_s.size, REQUEST)
    rows["arrival_s"] = requests.arrival_s
    rows["delay_s"] = requests.delay_s
    rows["images"] = requests.images - requests.cached_images
    rows["image_size"] = requests.image_tokens / np.maximum(requests.images, 1)
    rows["prompt"] = requests.prompt_tokens
    rows["output"] = requests.output_tokens
    rows["cached"] = np.minimum(requests.cached_tokens, requests.prompt_tokens - 1)
    rows["first_token_s"] = rows["finish_s"] = np.inf
    rows["after"] = NOBODY
    return rows


def _replicas(count: int) -> NDArray[np.void]:
    """(G,) idle replicas at time 0."""
    rows = np.zeros(count, REPLICA)
    rows["next_s"] = np.inf
    rows["first"] = rows["last"] = rows["partial"] = NOBODY
    return rows


def _plan(config: Config, bin_s: float) -> NDArray[np.void]:
    """(1,) the configuration as numbers."""
    row = np.zeros(1, PLAN)
    row["host_step_s"], row["host_sequence_s"], row["bin_s"] = config.host_step_s, config.host_sequence_s, bin_s
    row["host_visual_token_s"] = config.host_visual_token_s
    row["replicas"], row["least_loaded"] = config.replicas, config.router == "least_loaded"
    row["packed"], row["pack"] = config.router == "packed", config.pack_tokens
    row["timeout_s"], row["cold_s"] = config.sleep_timeout_s, config.cold_start_s
    row["budget"], row["sequences"] = config.token_budget, config.max_sequences
    row["encoder_budget"] = config.encoder_budget
    row["prefill_first"], row["reserve"] = config.policy == "prefill_first", config.kv_policy == "reserve"
    row["capacity"], row["pool"], row["clients"] = config.kv_capacity_tokens, config.encoder_pool, config.clients
    row["macro"], row["bins"] = config.macro_steps, config.kv_bins if bin_s > 0 else 0
    return row


def _total(config: Config, count: int) -> NDArray[np.void]:
    """(1,) sums at zero; in a closed loop every client comes at time 0 (``allocate`` leaves their times at 0)."""
    row = np.zeros(1, TOTAL)
    row["times"] = min(config.clients, count)
    return row
