"""How accelerators are shared between attention and feed-forward: every whole-number split, and the best of them.

A split of N accelerators gives a to attention and N - a to feed-forward. The one that is quickest for a decode step of the
reference load need not serve most within the latency goals: prompts weigh on the pools in another proportion, and keys and
values need room on the attention accelerators. So that step only says where the search begins; from there it goes to the
neighbour that serves a larger rate, until none does; where neither it nor a neighbour serves any, all are tried.

Source: this project; the loop of two pools: ``effects.schedule``. Assumes: the rate has one maximum over the splits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import OutOfValidityError
from deltastack.fleet.effects.schedule import DISAGGREGATED, Loop
from deltastack.fleet.physics.disaggregation import Stations, rate_per_s, simulated_rate_per_s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deltastack.fleet.deployment import Deployment, Search
    from deltastack.fleet.operators import OperatorTables

SEED = 20260102
PASSES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to share accelerators, and the decode step that it gives at the reference load."""

    attention: int
    ffn: int
    deployment: Deployment
    step_s: float
    """Of ``batch`` sequences an accelerator of the whole fleet, without logits."""


def ways(tables: OperatorTables, deployment: Deployment) -> list[Way]:
    """Every whole-number split of the deployment's accelerators, by feed-forward accelerators, each with its efficiencies.

    Args:
        tables: Operator times of the model, colocated.
        deployment: ``replicas`` counts the accelerators of both pools; its schedule has a search.

    Raises:
        OutOfValidityError: A single accelerator, which nothing shares, or tensor parallelism.
    """
    search = deployment.schedule.search
    if search is None or deployment.replicas < 2 or deployment.tensor_parallel != 1:  # noqa: PLR2004 - one for each pool
        raise OutOfValidityError(
            f"a split is searched over two accelerators at least, each a replica; found {deployment.replicas} x "
            f"{deployment.tensor_parallel}"
        )
    return [_way(tables, deployment, search, ffn) for ffn in range(1, deployment.replicas)]


def best(found: Sequence[Way], rate_per_s: Callable[[Deployment], float]) -> Way:
    """The split that serves the largest rate, climbed to from the one with the quickest decode step; the earlier among equals.

    Args:
        found: Splits in order of feed-forward accelerators.
        rate_per_s: The largest rate within the goals [requests/s]; 0 where there is none.
    """
    if len(found) == 1:
        return found[0]
    seen: dict[int, float] = {}

    def rate(at: int) -> float:
        if at not in seen:
            seen[at] = rate_per_s(found[at].deployment)
        return seen[at]

    here = min(range(len(found)), key=lambda i: (found[i].step_s, i))
    while True:
        around = [i for i in (here, here - 1, here + 1) if 0 <= i < len(found)]
        if not any(rate(i) for i in around):
            around = [here, *range(len(found))]
        there = max(around, key=rate)
        if there == here:
            return found[here]
        here = there


def colocated_step_s(tables: OperatorTables, search: Search) -> float:
    """The decode step [s] of ``batch`` sequences where everything runs together, without logits."""
    linear_s = sum(float(np.interp(search.batch, tables.token_n, row)) for row in tables.linear_s)
    return linear_s + _decode_core_s(tables, search.batch, search.context_tokens)


def _way(tables: OperatorTables, deployment: Deployment, search: Search, ffn: int) -> Way:
    attention = deployment.replicas - ffn
    sequences = search.batch * deployment.replicas / attention
    core_s = _decode_core_s(tables, sequences, search.context_tokens)
    quiet = replace(
        deployment.schedule, kind=DISAGGREGATED, ffn_accelerators_per_replica=ffn / attention, efficiency=(1.0,), search=None
    )
    loop = Loop(tables=tables, schedule=quiet)
    parts = range(1, search.most_micro_batches + 1)
    noisy = replace(quiet, efficiency=tuple(_efficiency(loop, sequences, core_s, j, search.variation) for j in parts))
    step_s = float(replace(loop, schedule=noisy).step_s(sequences, core_s))
    return Way(attention=attention, ffn=ffn, deployment=replace(deployment, replicas=attention, schedule=noisy), step_s=step_s)


def _decode_core_s(tables: OperatorTables, sequences: float, context_tokens: float) -> float:
    along = [np.interp(context_tokens, tables.decode_kv, row) for row in tables.decode_attention_s]
    return float(np.interp(sequences, tables.decode_batch, along))


def _efficiency(loop: Loop, sequences: float, core_s: float, parts: int, variation: float) -> float:
    """Rate with noise over rate without, by event simulation; 1 where nothing overlaps or nothing varies."""
    if parts == 1 or variation == 0:
        return 1.0
    times = loop.stations_s(np.array(sequences), np.array(core_s), parts)
    stations = Stations(**dict(zip(("attention_s", "ffn_s", "hop_s"), map(float, times), strict=True)))
    noisy = simulated_rate_per_s(stations, parts, variation=variation, passes=PASSES, seed=SEED)
    return min(noisy / rate_per_s(stations, parts), 1.0)
