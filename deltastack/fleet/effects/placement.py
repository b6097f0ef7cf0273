"""Transformer layers on separate dies of one accelerator: a pipeline inside the package.

Each of p dies has L / p layers and 1 / p of the arithmetic and of the memory bandwidth, so its stage of n / m tokens takes as
long as the whole accelerator takes for all layers at n / m tokens. The server keeps the pipeline filled from step to step: a
micro-batch starts its next token as soon as its last one left the last die and the first die is free. One step takes

    t'(n) = turns (t(n / m) + hop(n / m))        turns = max(m, p)
    hop(n) = hop_s + n hidden 2 bytes / link_bytes_per_s        p > 1
    bubble = 1 - m / turns

With m >= p micro-batches no die ever waits; with fewer, each waits for its micro-batch to come round. Attention over a chunk of
a prompt is already the sum over its parts: turns / m of it. Where t is proportional to n (large prompts) t' is
t(n) / (1 - bubble); where it is the reading of weights (small batches) every micro-batch reads them again and t' is turns t.
At p = m = 1 nothing changes.

Source: this project; a flush after every step, (m + p - 1) turns (Huang et al., GPipe, NeurIPS 2019), is that of training.
Assumes: equal stages; the batch has at least m sequences; logits spread like layers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import OutOfValidityError
from deltastack.fleet.deployment import Placement, Schedule
from deltastack.fleet.operators.shapes import BF16_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.operators import OperatorTables


def bubble(dies: int, micro_batches: int) -> float:
    """Share of its time that a die waits: 1 - m / max(m, p).

    >>> bubble(4, 4), bubble(4, 1)
    (0.0, 0.75)

    Raises:
        OutOfValidityError: Fewer than one die or micro-batch.
    """
    if min(dies, micro_batches) < 1:
        raise OutOfValidityError(f"a pipeline has at least one die and one micro-batch, found {dies} and {micro_batches}")
    return 1 - micro_batches / max(micro_batches, dies)


def tables(tables: OperatorTables, deployment: Deployment) -> OperatorTables:
    """``tables`` with the layers placed on several dies: the identity on one.

    Raises:
        OutOfValidityError: Fewer than one die or micro-batch, more dies than layers, dies without a link, or another schedule.
    """
    placed = deployment.placement
    if placed == Placement():
        return tables
    if deployment.schedule != Schedule():
        raise OutOfValidityError(
            "no model of layers on several dies beside attention and feed-forward on accelerators of their own"
        )
    _check(placed, tables)
    m, turns = placed.micro_batches, max(placed.micro_batches, placed.dies)
    linear = turns * _at(tables.token_n, tables.linear_s, m)
    if placed.dies > 1:
        sent = tables.token_n / m * tables.hidden_size * BF16_BYTES / placed.link_bytes_per_s
        linear[-1] += turns * (placed.hop_s + sent)
    return replace(
        tables,
        linear_s=linear,
        linear_gemm_s=turns * _at(tables.token_n, tables.linear_gemm_s, m),
        logits_s=turns * _at(tables.logits_n, tables.logits_s, m),
        prefill_attention_s=turns / m * tables.prefill_attention_s,
        decode_attention_s=turns * _at(tables.decode_batch, tables.decode_attention_s.T, m).T,
    )


def _check(placed: Placement, tables: OperatorTables) -> None:
    bubble(placed.dies, placed.micro_batches)
    if placed.dies > tables.layers:
        raise OutOfValidityError(f"{placed.dies} dies for {tables.layers} layers: a die holds at least one")
    if placed.dies > 1 and placed.link_bytes_per_s <= 0:
        raise OutOfValidityError("layers on several dies need placement.link_bytes_per_s above 0")


def _at(grid: NDArray[np.int64], values: NDArray[np.float64], parts: int) -> NDArray[np.float64]:
    """Values (..., N) of a grid's points divided into ``parts``; below the first point the first value holds."""
    rows = values.reshape(-1, grid.size)
    return np.stack([np.interp(grid / parts, grid, row) for row in rows]).reshape(values.shape)
