"""A run of n requests, accounted for as a piece of a stream without an end.

A run starts with an empty fleet and ends when the last request does; a stream at rate r does neither. In a stream the fleet does
the work of n requests in n / r seconds, and what it does not work it is idle:

    span_s = n / r        idle_s = max(servers span_s - busy_s, 0)

At its end a run serves its last requests in small batches, which take longer. Where that makes it busier than there is time, all
busy times are scaled to the time there is: components keep their shares.
By hand: 2 replicas, 100 requests at 10/s, busy 15 s in all: 10 s, of which 5 replica-seconds are idle, whenever the last one
ended. Busy 25 s in all: none is idle, and every component counts 20 / 25 of its time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deltastack.fleet.effects import sleep
    from deltastack.fleet.simulator import Result

BUSY = (
    *("encoder_s", "attention_s", "ffn_s", "other_s", "host_s"),
    *("prefill_attention_s", "decode_attention_s", "logits_s", "gemm_s", "prefill_s", "kv_token_s"),
)
"""Times of a result that are sums over its steps."""


def result(found: Result, replicas: int, period_s: float) -> Result:
    """``found`` as if its requests had come in the middle of a stream, ``period_s`` being n / r.

    Sleep and waking keep their parts of the idle time.
    """
    busy_s = replicas * found.span_s - found.idle_s
    there_s = replicas * period_s
    idle_s = max(there_s - busy_s, 0.0)
    kept = idle_s / found.idle_s if found.idle_s > 0 else 0.0
    scaled = {name: getattr(found, name) * min(there_s / busy_s, 1.0) for name in BUSY}
    return replace(
        found, span_s=period_s, idle_s=idle_s, asleep_s=kept * found.asleep_s, waking_s=kept * found.waking_s, **scaled
    )


def pool(found: sleep.Pool | None, *, encoders: int, wake_s: float, span_s: float) -> sleep.Pool | None:
    """The same of a pool of ``encoders``, over the span of its replicas; sleep keeps its part of the idle time.

    Args:
        found: What the pool did in the run; None where there is none.
        encoders: How many.
        wake_s: Of each, time from sleep to readiness.
        span_s: That of ``result``.
    """
    if found is None:
        return None
    rest_s = max(encoders * span_s - found.busy_s - found.wakes * wake_s, 0.0)
    was_s = found.idle_s + found.asleep_s
    asleep = found.asleep_s / was_s if was_s > 0 else 0.0
    return found._replace(idle_s=rest_s * (1 - asleep), asleep_s=rest_s * asleep)
