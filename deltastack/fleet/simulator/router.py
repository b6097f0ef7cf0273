"""How requests reach a replica: arrival, routing, the encoder pool, eligibility.

Open loop: a request arrives when the trace says. Closed loop: each of a number of clients sends the next request
of the trace the moment its last one finished. An encoder pool serves arrivals first in, first out, on the accelerator
that is free first; a request becomes eligible ``delay_s`` after its arrival or, with a pool, its encoding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.fleet.simulator.heap import pop, push
from deltastack.fleet.simulator.numba_support import compiled
from deltastack.fleet.simulator.occupancy import encode, skip_encoder_gap, wake
from deltastack.fleet.simulator.replica import enqueue
from deltastack.fleet.simulator.state import NOBODY
from deltastack.fleet.simulator.steps import cut_short
from deltastack.fleet.simulator.tournament_tree import reseat

if TYPE_CHECKING:
    from deltastack.fleet.simulator.grids import Grids
    from deltastack.fleet.simulator.state import State


@compiled
def next_arrival_s(state: State) -> float:
    """When the next request arrives; inf when none will, or none is known of yet."""
    total = state.total[0]
    if total.next_request >= state.requests.size:
        return np.inf
    if state.plan[0].clients == 0:
        return float(state.requests[total.next_request].arrival_s)
    return float(state.times[0].key) if total.times > 0 else np.inf


@compiled
def arrive(state: State, grids: Grids, now_s: float) -> None:
    """Route the next request, and encode its images if a pool does that."""
    total, plan = state.total[0], state.plan[0]
    request = total.next_request
    total.next_request += 1
    if plan.clients > 0:
        pop(state.times, 0, total.times)
        total.times -= 1
    row = state.requests[request]
    row.start_s = now_s
    row.replica = _chosen(state, request, now_s)
    state.replicas[row.replica].load += row.prompt + row.output
    ready_s = now_s
    if plan.pool > 0 and row.images > 0:
        server = int(np.argmin(state.encoder_free_s))
        skip_encoder_gap(state, server, now_s)
        state.encoder_free_s[server] += encode(state, grids, request, row.images)
        ready_s = state.encoder_free_s[server]
    ready_s += row.delay_s
    if ready_s > now_s:
        push(state.future, 0, total.future, ready_s, request)
        total.future += 1
    else:
        _offer(state, request, now_s)


@compiled
def become_eligible(state: State, now_s: float) -> None:
    """Let the first of the requests that were not yet eligible join its queue."""
    total = state.total[0]
    request = state.future[0].request
    pop(state.future, 0, total.future)
    total.future -= 1
    _offer(state, request, now_s)


@compiled
def _offer(state: State, request: int, now_s: float) -> None:
    """Queue a request at its replica, and let the replica hear of it: at once if it has nothing to do, else at its next step."""
    g = state.requests[request].replica
    rep = state.replicas[g]
    if rep.first == NOBODY:
        cut_short(state, g, now_s)
    enqueue(state, g, request)
    if rep.next_s == np.inf:
        reseat(state, g, max(rep.clock_s, now_s))


@compiled
def _chosen(state: State, request: int, now_s: float) -> int:
    """The replica that a request goes to."""
    plan, row = state.plan[0], state.requests[request]
    if plan.packed:
        return _packed(state, row.prompt + row.output, now_s)
    return _least_loaded(state, now_s) if plan.least_loaded else int(request % plan.replicas)


@compiled
def _packed(state: State, need: int, now_s: float) -> int:
    """The first replica awake that is idle or has room; else the least loaded one awake, and one that sleeps starts to wake."""
    plan, best, least, sleeper, waking = state.plan[0], 0, np.inf, NOBODY, False
    for g in range(state.replicas.size):
        rep = state.replicas[g]
        load = rep.load - (rep.freed if rep.clock_s <= now_s else 0)
        if rep.awake_s > now_s:
            waking = True
        elif g > 0 and load == 0 and now_s - max(rep.clock_s, rep.awake_s) > plan.timeout_s:
            sleeper = g if sleeper == NOBODY else sleeper
        elif load == 0 or load + need <= plan.pack:
            return g
        elif load < least:
            best, least = g, load
    if sleeper != NOBODY and not waking:
        wake(state, sleeper, now_s)
    return best


@compiled
def _least_loaded(state: State, now_s: float) -> int:
    """The replica with the fewest tokens of requests unfinished at ``now_s``, the lowest number among equals."""
    best, least = 0, np.inf
    for g in range(state.replicas.size):
        rep = state.replicas[g]
        load = rep.load - (rep.freed if rep.clock_s <= now_s else 0)
        if load < least:
            best, least = g, load
    return best
