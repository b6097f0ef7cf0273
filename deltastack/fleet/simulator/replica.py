"""What happens to the requests of one replica: queued, admitted, evicted, finished.

Memory: a prompt takes its keys at admission (with ``reserve`` its output's too), a decode step takes one for
every decoding sequence, and a finished or evicted sequence gives all of its own back. The last output token
never needs one, so a request ends with prompt + output - 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.fleet.simulator.heap import pop, push, remove
from deltastack.fleet.simulator.numba_support import compiled
from deltastack.fleet.simulator.state import NOBODY

if TYPE_CHECKING:
    from deltastack.fleet.simulator.state import State


@compiled
def enqueue(state: State, g: int, request: int) -> None:
    """Put an eligible request at the end of the queue."""
    rep = state.replicas[g]
    state.requests[request].after = NOBODY
    if rep.first == NOBODY:
        rep.first = request
    else:
        state.requests[rep.last].after = request
    rep.last = request


@compiled
def admissible(state: State, g: int, extra: int) -> bool:
    """Whether the head of the queue may start now, beside ``extra`` keys that decoding takes in this step."""
    rep, plan = state.replicas[g], state.plan[0]
    if rep.first == NOBODY or rep.decoding + rep.fresh >= plan.sequences:
        return False
    head = state.requests[rep.first]
    if plan.reserve:
        return bool(rep.committed + head.prompt + head.output <= plan.capacity)
    return bool(rep.resident + extra + head.prompt + head.emitted <= plan.capacity)


@compiled
def admit(state: State, g: int) -> int:
    """Take the head of the queue, give it its keys, and set its images to be encoded; the request."""
    rep = state.replicas[g]
    request = rep.first
    row = state.requests[request]
    rep.first = row.after
    rep.resident += row.prompt + row.emitted
    rep.committed += row.prompt + row.output
    if rep.admitted == state.order.shape[1]:
        _sweep(state, g)
    state.order[g, rep.admitted] = request
    rep.admitted += 1
    return int(request)


@compiled
def _sweep(state: State, g: int) -> None:
    """Drop finished requests from the order of admission."""
    kept = 0
    for at in range(state.replicas[g].admitted):
        request = state.order[g, at]
        if state.requests[request].finish_s == np.inf:
            state.order[g, kept] = request
            kept += 1
    state.replicas[g].admitted = kept


@compiled
def evict(state: State, g: int, capacity: int) -> None:
    """Send the last in back to the head of the queue until one more key for every decoding sequence fits."""
    rep = state.replicas[g]
    while rep.resident + rep.decoding > capacity:
        rep.admitted -= 1
        request = state.order[g, rep.admitted]
        row = state.requests[request]
        if row.finish_s < np.inf:
            continue
        if request == rep.partial:
            rep.partial = NOBODY
            rep.resident -= row.prompt + row.emitted
        else:
            base = g * (state.plan[0].sequences + 1)
            last_step = remove(state.decoding, base, rep.decoding, request)
            rep.decoding -= 1
            row.emitted = row.output - (int(last_step) - rep.step)
            rep.resident -= row.prompt + row.emitted - 1
            rep.context -= row.prompt + row.emitted - 1
        row.after = rep.first
        if rep.first == NOBODY:
            rep.last = request
        rep.first = request
        state.total[0].preemptions += 1


@compiled
def first_tokens(state: State, g: int) -> None:
    """Give every request whose prompt ended in this step its next token, and let it decode or finish."""
    rep = state.replicas[g]
    base = g * (state.plan[0].sequences + 1)
    for at in range(rep.fresh):
        request = state.fresh[at]
        row = state.requests[request]
        if row.first_token_s == np.inf:
            row.first_token_s = rep.clock_s
        context = row.prompt + row.emitted
        row.emitted += 1
        if row.emitted == row.output:
            _finish(state, g, request)
        else:
            push(state.decoding, base, rep.decoding, float(rep.step + row.output - row.emitted), request)
            rep.decoding += 1
            rep.context += context
    rep.fresh = 0


@compiled
def last_tokens(state: State, g: int) -> None:
    """Finish every decoding request whose last token came with the step that just ended."""
    rep = state.replicas[g]
    base = g * (state.plan[0].sequences + 1)
    while rep.decoding > 0 and state.decoding[base].key <= rep.step:
        request = state.decoding[base].request
        pop(state.decoding, base, rep.decoding)
        rep.decoding -= 1
        row = state.requests[request]
        rep.context -= row.prompt + row.output - 1
        _finish(state, g, request)


@compiled
def _finish(state: State, g: int, request: int) -> None:
    """Give back all that a finished request held; in a closed loop its client comes back."""
    rep, plan, total = state.replicas[g], state.plan[0], state.total[0]
    row = state.requests[request]
    row.finish_s = rep.clock_s
    rep.resident -= row.prompt + row.output - 1
    rep.committed -= row.prompt + row.output
    rep.freed += row.prompt + row.output
    total.finished += 1
    if plan.clients > 0:
        push(state.times, 0, total.times, rep.clock_s, 0)
        total.times += 1
