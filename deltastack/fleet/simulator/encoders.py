"""A pool of encoders that may sleep: first in, first out, on the encoder that can start first, the first one among equals.

So images are packed on the first encoders, as a router packs requests, and the others have gaps in which to sleep. An encoder
that was idle for longer than its timeout is asleep; the image that finds it so waits ``wake_s``. With foresight
it sleeps at once in a gap longer than the break-even and wakes in time, so that nobody waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.fleet.simulator.kernels import encoder_s
from deltastack.fleet.simulator.numba_support import compiled, entry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.simulator.grids import Grids

BUSY, IDLE, ASLEEP, WAKES = range(4)
"""Places in ``spent``."""


@compiled
def first(free_s: NDArray[np.float64], now_s: float, timeout_s: float, wake_s: float) -> int:
    """The encoder that can start first: at once if idle, when it falls free, or after waking; the first one among equals."""
    best, best_s = 0, np.inf
    for i in range(free_s.size):
        start_s = max(now_s, free_s[i]) + (wake_s if now_s - free_s[i] > timeout_s else 0.0)
        if start_s < best_s:
            best, best_s = i, start_s
    return best


@entry
def serve(  # noqa: PLR0913, PLR0917 - a compiled loop takes arrays, not objects
    grids: Grids,
    arrival_s: NDArray[np.float64],
    images: NDArray[np.int64],
    size: NDArray[np.float64],
    timeout_s: NDArray[np.float64],
    foresight_s: float,
    wake_s: float,
    free_s: NDArray[np.float64],
    ready_s: NDArray[np.float64],
    spent: NDArray[np.float64],
) -> None:
    """Encode every request's images in order of arrival, (R,) each; fills ``ready_s`` (R,), ``free_s`` (pool,), ``spent`` (4,).

    Args:
        grids: Encoder times.
        arrival_s: When requests come; those without ``images`` are ready at once.
        images: To encode.
        size: Visual tokens of each image.
        timeout_s: Idle time after which the encoder that serves the request would have gone to sleep.
        foresight_s: Gaps longer than this are slept in from start to end without a wait; inf for no foresight.
        wake_s: From asleep to ready.
        free_s: When each encoder is free; 0 at first.
        ready_s: When the images of each request are encoded.
        spent: Busy, idle awake and asleep encoder-seconds, and the number of wake-ups.
    """
    for r in range(arrival_s.size):
        ready_s[r] = arrival_s[r]
        if images[r] == 0:
            continue
        server = first(free_s, arrival_s[r], timeout_s[r], wake_s if np.isinf(foresight_s) else 0.0)
        gap_s = max(arrival_s[r] - free_s[server], 0.0)
        start_s = max(arrival_s[r], free_s[server])
        if gap_s > foresight_s:
            spent[WAKES] += 1.0
            spent[ASLEEP] += gap_s - wake_s
        elif gap_s > timeout_s[r]:
            spent[WAKES] += 1.0
            spent[IDLE] += timeout_s[r]
            spent[ASLEEP] += gap_s - timeout_s[r]
            start_s += wake_s
        else:
            spent[IDLE] += gap_s
        run_s = encoder_s(grids, images[r], size[r])
        spent[BUSY] += run_s
        free_s[server] = start_s + run_s
        ready_s[r] = free_s[server]
