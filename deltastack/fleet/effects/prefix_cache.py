"""Which prefixes that a trace tells are still in a replica's memory when they come again.

A prefix is there if the request meets a replica that computed it, and that replica has not forgotten it:

    there = (reuse_tokens <= room_tokens) and (u < 1 - (1 - 1 / G)^n)

n requests before brought it, each to one of G replicas; u fills 0..1 evenly (golden-ratio sequence), so that the same requests
find theirs in every cell. A replica sees one request in G, and a G-th of the tokens in G times the time: ``reuse_tokens``, the
tokens used since, is the same for any G. Where the trace does not tell when a prefix was used, it is taken to be there.

Source: this project, after Mattson et al., IBM Systems J. 9 (1970): LRU with room C holds what was used within C tokens.
Assumes: a router that knows no prefixes; the whole prefix is there or none of it; running requests leave the room to the cache.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.simulator import Requests

EVENLY = 3**0.5 - 1
"""Step of a sequence that fills 0..1 evenly, independent of those of ``kv_tier``."""


def there(requests: Requests, room_tokens: float, replicas: int) -> NDArray[np.bool_]:
    """Whose prefix (R,) is within ``room_tokens`` on the replica that it meets."""
    if not requests.reuse_requests.any():
        return np.ones(requests.prompt_tokens.size, np.bool_)
    luck = (np.arange(1, requests.prompt_tokens.size + 1) * EVENLY) % 1.0
    met = luck < 1.0 - (1.0 - 1.0 / replicas) ** requests.reuse_requests
    return np.asarray((requests.reuse_requests == 0) | (met & (requests.reuse_tokens <= room_tokens)))


def remembered(requests: Requests, room_tokens: float, replicas: int) -> Requests:
    """``requests`` without the prefixes that are not there: they are computed again."""
    found = there(requests, room_tokens, replicas)
    return requests if found.all() else replace(requests, cached_tokens=np.where(found, requests.cached_tokens, 0))
