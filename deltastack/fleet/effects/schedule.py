"""Operator times when attention and feed-forward run on different accelerators.

A replica is one attention accelerator with q feed-forward accelerators beside it (its share of their pool). A step of n tokens
goes in j micro-batches of n / j tokens through L layers; each micro-batch takes at its stations and on each hop of the link

    T_a = (linear_attention(n/j) + linear_other(n/j) + core / j) / L        T_e = linear_ffn(n / (j q)) / L
    T_c = hop_s + (n/j) max(1, 1/q) 2 hidden_size / link_bytes_per_s
    W_j = T_a + T_e + 2 T_c + (j L - 1) / (x_j e_j)        x_j = min(1 / max(T_a, T_e), j / (T_a + T_e + 2 T_c))

with e_j the efficiency under noise (1 for j = 1, where nothing overlaps). A step takes the least W_j of those that have one.
Tables add up and W does not, so: linear' = W(n, core 0), its feed-forward row what attention waits; decode'(b, k) =
W(b, core) - W(b, 0); prefill'(c, p) likewise. A step that only decodes, or holds one chunk, is exact; one that mixes both adds
the attention of each over its own linear part. Weights left on the attention accelerator: attention, embedding and output.

Source: MegaScale-Infer, arXiv 2504.02263; physics.disaggregation. Activations cross the link in 16 bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import OutOfValidityError
from deltastack.fleet.effects import weights
from deltastack.fleet.operators import LINEAR_COMPONENTS, Source
from deltastack.model import Component

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.deployment import Deployment, Schedule
    from deltastack.fleet.operators import OperatorTables

COLOCATED, DISAGGREGATED = "colocated", "disaggregated"
ACTIVATION_BYTES = 2
_ATTENTION, _FFN, _OTHER = (LINEAR_COMPONENTS.index(c) for c in (Component.ATTENTION, Component.FFN, Component.OTHER))


def tables(tables: OperatorTables, deployment: Deployment, platform: Platform) -> OperatorTables:
    """``tables`` with the deployment's schedule: the same object where everything runs on the same accelerators.

    Raises:
        OutOfValidityError: A schedule for which there is no model.
        UnknownNameError: Nobody wrote down the shapes of the model.
    """
    del platform
    wanted = deployment.schedule
    if wanted.kind == COLOCATED:
        return tables
    if wanted.kind != DISAGGREGATED:
        raise OutOfValidityError(f"no model of the schedule '{wanted.kind}'; there are: {COLOCATED}, {DISAGGREGATED}")
    return _disaggregated(Loop(tables=tables, schedule=wanted))


def accelerators_per_replica(deployment: Deployment) -> float:
    """Accelerators that a replica takes: its tensor parallelism, and feed-forward accelerators beside them."""
    apart = deployment.schedule.kind == DISAGGREGATED
    return deployment.tensor_parallel * (1 + deployment.schedule.ffn_accelerators_per_replica * apart)


def occupied(deployment: Deployment, replica_s: Mapping[Component, float]) -> dict[Component, float]:
    """Accelerator seconds by component from a replica's seconds by component.

    Disaggregated, the feed-forward pool is held for as long as its replicas are busy: that, and what attention waits for it,
    is ``ffn``; it is idle when they are.
    """
    found = {c: s * deployment.tensor_parallel for c, s in replica_s.items()}
    if deployment.schedule.kind == COLOCATED:
        return found
    apart = deployment.schedule.ffn_accelerators_per_replica
    busy_s = sum(s for c, s in found.items() if c is not Component.IDLE)
    found[Component.FFN] = found.get(Component.FFN, 0.0) + apart * busy_s
    found[Component.IDLE] = found.get(Component.IDLE, 0.0) * (1 + apart)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """The loop of two pools for one model and schedule."""

    tables: OperatorTables
    schedule: Schedule

    def __post_init__(self) -> None:
        """Refuse a loop that cannot be.

        Raises:
            OutOfValidityError: No feed-forward accelerators, no link, or an efficiency outside 0..1.
        """
        s = self.schedule
        rates = bool(s.efficiency) and all(0 < e <= 1 for e in s.efficiency)
        if s.ffn_accelerators_per_replica <= 0 or s.link_bytes_per_s <= 0 or not rates:
            raise OutOfValidityError(f"two pools need accelerators, a link and efficiencies in 0..1; found {s}")
        if s.hop_s < 0 or self.tables.tensor_parallel != 1:
            raise OutOfValidityError(
                f"pools of single accelerators are modelled: tensor parallelism {self.tables.tensor_parallel}, hop {s.hop_s} s"
            )

    def stations_s(self, tokens: NDArray[np.float64], core_s: NDArray[np.float64], parts: int) -> tuple[NDArray[np.float64], ...]:
        """T_a, T_e and T_c [s] of one of ``parts`` micro-batches of a step, each of the shape of ``tokens``."""
        t, q = self.tables, self.schedule.ffn_accelerators_per_replica
        n = tokens / parts
        attention_s = linear(t, n, _ATTENTION) + linear(t, n, _OTHER) + core_s / parts
        link_s = n * max(1.0, 1 / q) * ACTIVATION_BYTES * t.hidden_size / self.schedule.link_bytes_per_s
        return attention_s / t.layers, linear(t, n / q, _FFN) / t.layers, self.schedule.hop_s + link_s

    def step_s(self, tokens: ArrayLike, core_s: ArrayLike) -> NDArray[np.float64]:
        """Duration [s] of steps of so many tokens with so much attention core, without logits; broadcast over both."""
        n, core = np.broadcast_arrays(np.asarray(tokens, dtype=np.float64), np.asarray(core_s, dtype=np.float64))
        overlapped = range(2, len(self.schedule.efficiency) + 1)
        each = [self._parts_s(n, core, 1), *(np.where(n >= j, self._parts_s(n, core, j), np.inf) for j in overlapped)]
        least: NDArray[np.float64] = np.minimum.reduce(each)
        return least

    def _parts_s(self, n: NDArray[np.float64], core_s: NDArray[np.float64], parts: int) -> NDArray[np.float64]:
        attention_s, ffn_s, hop_s = self.stations_s(n, core_s, parts)
        once_s = attention_s + ffn_s + 2 * hop_s
        beat_s = np.maximum(np.maximum(attention_s, ffn_s), once_s / parts)
        total_s: NDArray[np.float64] = once_s + (parts * self.tables.layers - 1) * beat_s / self.schedule.efficiency[parts - 1]
        return total_s


def linear(tables: OperatorTables, tokens: NDArray[np.float64], row: int) -> NDArray[np.float64]:
    """One row of ``linear_s`` [s] at any token counts, read as the simulator reads it: beyond the grid it goes on straight."""
    grid, values = tables.token_n.astype(np.float64), tables.linear_s[row]
    inside: NDArray[np.float64] = np.interp(tokens, grid, values)
    slope = (values[-1] - values[-2]) / (grid[-1] - grid[-2])
    beyond: NDArray[np.float64] = inside + slope * np.maximum(tokens - grid[-1], 0.0)
    return beyond


def _disaggregated(loop: Loop) -> OperatorTables:
    t = loop.tables
    step_s, own = loop.step_s(t.token_n, 0.0), [_ATTENTION, _OTHER]
    rows = t.linear_s.copy()
    rows[_FFN] = np.maximum(step_s - t.linear_s[own].sum(axis=0), 0.0)
    rows[own] *= (step_s - rows[_FFN]) / t.linear_s[own].sum(axis=0)
    held = weights.by_component(t)
    return replace(
        t,
        linear_s=rows,
        linear_gemm_s=_gemm_s(t, rows),
        decode_attention_s=_beyond(loop, t.decode_batch[:, None], t.decode_attention_s),
        prefill_attention_s=_beyond(loop, t.prefill_chunk[:, None], t.prefill_attention_s),
        weight_bytes=t.weight_bytes - held[Component.FFN],
        sources={
            k: np.full_like(v, Source.ROOFLINE) if k.startswith(("linear", "decode", "prefill")) else v
            for k, v in t.sources.items()
        },
    )


def _gemm_s(tables: OperatorTables, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix products in ``rows`` in the proportion of ``tables``; waiting for feed-forward is none."""
    share = tables.linear_gemm_s / np.maximum(tables.linear_s, np.finfo(float).tiny)
    share[_FFN] = 0.0
    scaled: NDArray[np.float64] = rows * share
    return scaled


def _beyond(loop: Loop, tokens: NDArray[np.int64], core_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """What attention adds [s] to steps of so many tokens."""
    added: NDArray[np.float64] = loop.step_s(tokens, core_s) - loop.step_s(tokens, 0.0)
    return np.maximum(added, 0.0)
