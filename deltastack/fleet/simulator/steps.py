"""The engine's steps: one with prompt tokens, or a run of steps that only decode.

A run of k decode-only steps with b sequences has a mean context that grows by one a step. Inside one segment
of the context grid the step time then grows by a constant, so duration and integrals are closed forms: the jump
gives what k single steps would, up to rounding. It ends at the first of: a finish, memory full, a grid point. It is planned
when it starts and counted when it ends; a request that joins an empty queue meanwhile cuts it at the next step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.fleet.simulator.kernels import prefill_attention_s, run_s, steps_before, walk
from deltastack.fleet.simulator.numba_support import compiled
from deltastack.fleet.simulator.occupancy import encode, occupy, skip_gap
from deltastack.fleet.simulator.replica import admissible, admit, evict, first_tokens, last_tokens
from deltastack.fleet.simulator.state import NOBODY
from deltastack.fleet.simulator.tournament_tree import reseat

if TYPE_CHECKING:
    from deltastack.fleet.simulator.grids import Grids
    from deltastack.fleet.simulator.state import State


@compiled
def advance(state: State, grids: Grids, g: int) -> None:
    """End the run of decode-only steps of replica g that is under way; else do its next step, or plan its next run.

    Nothing follows a run at once: in a closed loop, who is done with it comes back at that instant, before the next step.
    """
    rep, plan = state.replicas[g], state.plan[0]
    if rep.run > 0:
        complete(state, grids, g)
        return
    skip_gap(state, g, rep.next_s)
    rep.load -= rep.freed
    rep.freed = 0
    mixed = plan.prefill_first == 0
    prefill = rep.partial != NOBODY or admissible(state, g, rep.decoding if mixed else 0)
    if (mixed or not prefill) and rep.resident + rep.decoding > plan.capacity:
        evict(state, g, plan.capacity)
        prefill = False
    if prefill:
        _prefill_step(state, grids, g)
        _seat(state, g)
    else:
        _plan_run(state, grids, g)
        reseat(state, g, rep.clock_s + run_s(rep.run, rep.first_s, rep.growth_s))


@compiled
def _seat(state: State, g: int) -> None:
    """Let the next step of replica g start where its last one ended, if there is work."""
    rep = state.replicas[g]
    busy = rep.decoding > 0 or rep.partial != NOBODY or rep.first != NOBODY
    reseat(state, g, rep.clock_s if busy else np.inf)


@compiled
def _prefill_step(state: State, grids: Grids, g: int) -> None:
    """One step with prompt tokens: beside the decoding sequences, or alone when prompts go first."""
    rep, plan, total = state.replicas[g], state.plan[0], state.total[0]
    b = 0 if plan.prefill_first else rep.decoding
    rep.resident += b
    rep.context += b
    _fill(state, grids, g, plan.budget - b)
    attention_s = 0.0
    if b > 0:
        rep.cell = walk(grids.decode_kv, rep.context / b, rep.cell)
        attention_s = _attention_s(grids, b, rep.context / b, rep.cell)
        total.decode_kv_token_steps += rep.context
    logits_s = grids.logits_s[b + rep.fresh]
    host_s = plan.host_step_s + plan.host_sequence_s * (b + rep.chunks)
    step_s = rep.image_s + host_s + grids.step_s[rep.tokens + b] + logits_s + rep.chunk_s + attention_s
    total.decode_attention_s += attention_s
    total.logits_s += logits_s
    total.prefill_attention_s += rep.chunk_s
    total.prefill_s += step_s
    total.prefill_tokens += rep.tokens
    _count(state, g, b, 1)
    occupy(state, g, step_s, rep.resident * step_s)
    rep.step += 1 if b > 0 else 0
    last_tokens(state, g)
    first_tokens(state, g)


@compiled
def _fill(state: State, grids: Grids, g: int, budget: int) -> None:
    """Fill a step with chunks of prompts up to ``budget`` tokens, oldest first; it ends where the encoder's budget does."""
    rep = state.replicas[g]
    rep.chunks = rep.tokens = 0
    rep.chunk_s = rep.image_s = rep.seen = 0.0
    if rep.partial != NOBODY:
        _take_chunk(state, grids, g, budget)
    while rep.partial == NOBODY and rep.tokens < budget and admissible(state, g, 0):
        request = admit(state, g)
        rep.partial, rep.partial_done = request, state.requests[request].cached
        _take_chunk(state, grids, g, budget)


@compiled
def _take_chunk(state: State, grids: Grids, g: int, budget: int) -> None:
    """Add the next chunk of the prompt in progress to the step."""
    rep = state.replicas[g]
    row = state.requests[rep.partial]
    target = row.prompt + row.emitted
    chunk = min(target - rep.partial_done, budget - rep.tokens)
    if row.encoded < row.images:
        chunk = _encode_ahead(state, grids, g, chunk)
        if chunk == 0:
            return
    rep.chunk_s += prefill_attention_s(grids, chunk, rep.partial_done)
    state.total[0].prefill_prefix_tokens += rep.partial_done
    rep.tokens += chunk
    rep.chunks += 1
    rep.partial_done += chunk
    if rep.partial_done == target:
        state.fresh[rep.fresh] = rep.partial
        rep.fresh += 1
        rep.partial = NOBODY


@compiled
def _encode_ahead(state: State, grids: Grids, g: int, chunk: int) -> int:
    """Encode the images that begin in the next ``chunk`` tokens of the prompt in progress; the tokens up to the first left out.

    Images to encode lie evenly over the tokens to compute: image k of n begins at token k (prompt - cached) // n of them.
    """
    rep, request = state.replicas[g], state.replicas[g].partial
    row, budget = state.requests[request], state.plan[0].encoder_budget
    span, done = row.prompt - row.cached, rep.partial_done - row.cached
    begun = min(-(-(done + chunk) * row.images // span), row.images)
    fits = int((budget - rep.seen) / row.image_size)
    upto = min(begun, row.encoded + max(fits, 1 if rep.seen == 0.0 else 0))
    if rep.seen == 0.0:
        while upto < begun and upto * span // row.images <= done:
            upto += 1
    if upto < begun:
        chunk = max(upto * span // row.images - done, 0)
    if upto > row.encoded:
        rep.seen += (upto - row.encoded) * row.image_size
        work_s = state.plan[0].host_visual_token_s * (upto - row.encoded) * row.image_size
        state.total[0].image_host_s += work_s
        rep.image_s += encode(state, grids, request, upto - row.encoded) + work_s
    return int(chunk)


@compiled
def _plan_run(state: State, grids: Grids, g: int) -> None:
    """Plan a run of k steps in which every decoding sequence gets k tokens."""
    rep, plan = state.replicas[g], state.plan[0]
    b = rep.decoding
    context = rep.context / b + 1.0
    rep.cell = walk(grids.decode_kv, context, rep.cell)
    rep.attention_s = _attention_s(grids, b, context, rep.cell)
    rep.growth_s = _attention_s(grids, b, context + 1.0, rep.cell) - rep.attention_s
    rep.first_s = grids.step_s[b] + grids.logits_s[b] + plan.host_step_s + plan.host_sequence_s * b + rep.attention_s
    rep.run = _run_length(state, grids, g, context) if plan.macro else 1
    if plan.bins > 0:
        _cut(state, g, (int(rep.clock_s / plan.bin_s) + 1) * plan.bin_s)


@compiled
def cut_short(state: State, g: int, now_s: float) -> None:
    """End the run of replica g that is under way, if there is one, with the last step that starts before ``now_s``."""
    rep = state.replicas[g]
    before = rep.run
    _cut(state, g, now_s)
    if rep.run < before:
        reseat(state, g, rep.clock_s + run_s(rep.run, rep.first_s, rep.growth_s))


@compiled
def _cut(state: State, g: int, until_s: float) -> None:
    """Keep the steps of the run of replica g that start before ``until_s``, the first in any case."""
    rep = state.replicas[g]
    left_s = until_s - rep.clock_s
    if rep.run > 1 and run_s(rep.run - 1, rep.first_s, rep.growth_s) >= left_s:
        rep.run = min(rep.run, steps_before(left_s, rep.first_s, rep.growth_s))


@compiled
def complete(state: State, grids: Grids, g: int) -> None:
    """Count the run of k steps of replica g that ends now, and finish what ends with it."""
    rep, total = state.replicas[g], state.total[0]
    b, k = rep.decoding, rep.run
    pairs = 0.5 * k * (k - 1)
    keys = rep.resident + b
    total.decode_attention_s += k * rep.attention_s + rep.growth_s * pairs
    total.logits_s += k * grids.logits_s[b]
    total.decode_kv_token_steps += k * (rep.context + b) + b * pairs
    token_s = k * keys * rep.first_s + (keys * rep.growth_s + b * rep.first_s) * pairs
    token_s += b * rep.growth_s * pairs * (2 * k - 1) / 3.0
    rep.run = rep.chunks = rep.tokens = 0
    rep.resident += k * b
    rep.context += k * b
    rep.step += k
    _count(state, g, b, k)
    occupy(state, g, run_s(k, rep.first_s, rep.growth_s), token_s)
    last_tokens(state, g)
    _seat(state, g)


@compiled
def _run_length(state: State, grids: Grids, g: int, context: float) -> int:
    """Steps until the first finish, memory full, or the end of the grid segment; at least 1."""
    rep, plan = state.replicas[g], state.plan[0]
    k = int(state.decoding[g * (plan.sequences + 1)].key) - rep.step
    k = min(k, (plan.capacity - rep.resident) // rep.decoding)
    if rep.cell < grids.decode_kv.size - 2:
        k = min(k, int(grids.decode_kv[rep.cell + 1] - context) + 1)
    return int(max(k, 1))


@compiled
def _attention_s(grids: Grids, b: int, context: float, cell: int) -> float:
    """Attention of b decoding sequences over ``context`` keys each [s], inside (or beyond) one grid segment."""
    x0, x1 = grids.decode_kv[cell], grids.decode_kv[cell + 1]
    near, far = grids.decode_s[b, cell], grids.decode_s[b, cell + 1]
    return float(near + (far - near) * (context - x0) / (x1 - x0))


@compiled
def _count(state: State, g: int, b: int, k: int) -> None:
    """Count k steps with b decoding sequences beside the chunks taken."""
    rep, total = state.replicas[g], state.total[0]
    total.steps += k
    total.decode_steps += k if b > 0 else 0
    total.decode_sequence_steps += k * b
    total.sequence_steps += k * (b + rep.chunks)
    total.peak_batch = max(total.peak_batch, b + rep.chunks)
    state.steps_by_tokens[rep.tokens + b] += k
