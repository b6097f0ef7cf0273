"""Time that nobody works and keys that somebody holds: gaps, and the integral of resident tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.fleet.simulator.kernels import encoder_s
from deltastack.fleet.simulator.numba_support import compiled

if TYPE_CHECKING:
    from deltastack.fleet.simulator.grids import Grids
    from deltastack.fleet.simulator.state import State


@compiled
def skip_gap(state: State, g: int, until_s: float) -> None:
    """Note that replica g had nothing to do from its clock until ``until_s``, and set its clock."""
    rep, total = state.replicas[g], state.total[0]
    if until_s > rep.clock_s:
        gap = state.gaps[total.gaps]
        gap.start_s, gap.length_s, gap.server = rep.clock_s, until_s - rep.clock_s, g
        total.gaps += 1
        rep.clock_s = until_s


@compiled
def skip_encoder_gap(state: State, server: int, until_s: float) -> None:
    """Note that an encoder was not used from the end of its last run until ``until_s``."""
    total = state.total[0]
    free_s = state.encoder_free_s[server]
    if until_s > free_s:
        gap = state.encoder_gaps[total.encoder_gaps]
        gap.start_s, gap.length_s, gap.server = free_s, until_s - free_s, server
        total.encoder_gaps += 1
        state.encoder_free_s[server] = until_s


@compiled
def wake(state: State, g: int, now_s: float) -> None:
    """Start to wake replica g, and note how long it slept."""
    rep, plan, total = state.replicas[g], state.plan[0], state.total[0]
    total.asleep_s += now_s - max(rep.clock_s, rep.awake_s) - plan.timeout_s
    total.waking_s += plan.cold_s
    total.cold_starts += 1
    rep.awake_s = now_s + plan.cold_s


@compiled
def settle(state: State, g: int, span_s: float) -> None:
    """At the end, note the sleep that nobody ended and the waking that did not end."""
    rep, plan, total = state.replicas[g], state.plan[0], state.total[0]
    if g > 0 and plan.packed:
        total.asleep_s += max(span_s - max(rep.clock_s, rep.awake_s) - plan.timeout_s, 0.0)
        total.waking_s -= max(rep.awake_s - span_s, 0.0)


@compiled
def encode(state: State, grids: Grids, request: int, images: int) -> float:
    """Encode the next ``images`` images of a request, once for all; the run's duration [s]."""
    row, total = state.requests[request], state.total[0]
    run_s = encoder_s(grids, images, row.image_size)
    total.encoder_s += run_s
    total.images += images
    row.encoded += images
    return run_s


@compiled
def occupy(state: State, g: int, step_s: float, token_s: float) -> None:
    """Add ``token_s``, the integral of resident tokens over the next ``step_s`` of replica g, and set its clock."""
    rep, plan = state.replicas[g], state.plan[0]
    state.total[0].kv_token_s += token_s
    rep.peak = max(rep.peak, rep.resident)
    start_s = rep.clock_s
    rep.clock_s = start_s + step_s
    if plan.bins > 0 and step_s > 0.0:
        at = min(int(start_s / plan.bin_s), plan.bins - 1)
        last = min(int(rep.clock_s / plan.bin_s), plan.bins - 1)
        while at <= last:
            begin_s = max(start_s, at * plan.bin_s)
            end_s = min(rep.clock_s, (at + 1) * plan.bin_s) if at < last else rep.clock_s
            state.kv_bins[g, at] += token_s * (end_s - begin_s) / step_s
            at += 1
