"""How long an ideal machine would take: recorded work replayed with a core for every lane and no noise.

Each micro-batch is a row of visits (lane, seconds) that follow each other; a lane runs one visit at a time, first come first
served. With work W_m = sum of the visits of micro-batch m, and L_l = sum of the visits to lane l,

    max(max_m W_m, max_l L_l)  <=  makespan  <=  sum_m W_m

The measured time beside it tells a bad schedule from a noisy machine. A hand-over of ``hop_s`` is added at every change of
lane. The rule for keeping both lanes busy, with Ta = Tf the time of attention and of feed-forward of one micro-batch and Tc
that of one transfer:

    m >= (Ta + Tf + 2 Tc) / max(Ta, Tf)        = 2 (1 + Tc / Tf) where Ta = Tf

Source: list scheduling, Graham, Bell System Technical Journal 45 (1966); the rule: MegaScale-Infer, arXiv:2504.02263.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltastack.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Sequence

Visit = tuple[Hashable, float]
"""A lane, and the seconds of work in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """``work_s`` on one core, ``makespan_s`` with a core a lane, and the lower bound that no schedule beats."""

    work_s: float
    makespan_s: float
    bound_s: float

    @property
    def speed_up(self) -> float:
        """One core's time over the makespan."""
        return self.work_s / self.makespan_s


def replay(micro_batches: Sequence[Sequence[Visit]], *, hop_s: float = 0.0) -> Replayed:
    """The makespan of (M,) rows of visits.

    Raises:
        EvidenceError: Nothing was recorded.
    """
    if not any(micro_batches):
        raise EvidenceError("nothing to replay: no visit to a lane was recorded")
    ready = [(0.0, i, 0) for i, visits in enumerate(micro_batches) if visits]
    heapq.heapify(ready)
    free: dict[Hashable, float] = {}
    end_s = 0.0
    while ready:
        at_s, i, step = heapq.heappop(ready)
        lane, seconds = micro_batches[i][step]
        if free.get(lane, 0.0) > at_s:
            heapq.heappush(ready, (free[lane], i, step))
            continue
        free[lane] = done_s = at_s + seconds
        end_s = max(end_s, done_s)
        if step + 1 < len(micro_batches[i]):
            heapq.heappush(ready, (done_s + hop_s, i, step + 1))
    return Replayed(work_s=sum(s for v in micro_batches for _, s in v), makespan_s=end_s, bound_s=_bound(micro_batches))


def least_micro_batches(*, attention_s: float, ffn_s: float, transfer_s: float) -> int:
    """Fewest micro-batches that can keep the busier lane busy.

    Raises:
        EvidenceError: A time that is not positive (or a negative transfer).
    """
    if not (attention_s > 0 and ffn_s > 0 and transfer_s >= 0):
        raise EvidenceError(f"times must be positive: attention {attention_s} s, feed-forward {ffn_s} s, transfer {transfer_s} s")
    return math.ceil((attention_s + ffn_s + 2 * transfer_s) / max(attention_s, ffn_s) - 1e-9)


def _bound(micro_batches: Sequence[Sequence[Visit]]) -> float:
    lanes: dict[Hashable, float] = {}
    for lane, seconds in (v for visits in micro_batches for v in visits):
        lanes[lane] = lanes.get(lane, 0.0) + seconds
    return max(*lanes.values(), *(sum(s for _, s in visits) for visits in micro_batches))
