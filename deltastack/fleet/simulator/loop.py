"""The event loop: whatever comes first, a request or a replica's next step.

At the same instant runs end before requests come, and requests come before steps start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.fleet.simulator.numba_support import compiled, entry
from deltastack.fleet.simulator.occupancy import settle, skip_encoder_gap, skip_gap
from deltastack.fleet.simulator.router import arrive, become_eligible, next_arrival_s
from deltastack.fleet.simulator.steps import advance, complete

if TYPE_CHECKING:
    from deltastack.fleet.simulator.grids import Grids
    from deltastack.fleet.simulator.state import State


@entry
def run(state: State, grids: Grids) -> None:
    """Serve every request; afterwards every clock stands at the last finish."""
    total = state.total[0]
    while total.finished < state.requests.size:
        g = state.race[1]
        step_s = state.replicas[g].next_s
        arrival_s = next_arrival_s(state)
        ready_s = state.future[0].key if total.future > 0 else np.inf
        if state.replicas[g].run > 0 and step_s == min(arrival_s, ready_s):
            complete(state, grids, g)
        elif ready_s <= arrival_s and ready_s <= step_s:
            become_eligible(state, ready_s)
        elif arrival_s <= step_s:
            arrive(state, grids, arrival_s)
        else:
            advance(state, grids, g)
    _close(state)


@compiled
def _close(state: State) -> None:
    """Note the gaps from everyone's last work to the last finish."""
    span_s = 0.0
    for g in range(state.replicas.size):
        span_s = max(span_s, state.replicas[g].clock_s)
    for g in range(state.replicas.size):
        settle(state, g, span_s)
        skip_gap(state, g, span_s)
    for server in range(state.plan[0].pool):
        skip_encoder_gap(state, server, span_s)
