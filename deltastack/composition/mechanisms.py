"""The product with shared mechanisms counted once.

A mechanism is what a layer does in order to do its work: cut a batch into micro-batches, pack weights at load, wake an encoder.
Two layers with one mechanism in common both pay for it alone, and pay once together. With Δ_l the saving of layer l alone, μ_m
that of mechanism m alone, and ρ_l what layer l does beside its mechanisms, the model is

    ln(1 - Δ_l) = ρ_l + Σ_{m of l} ln(1 - μ_m)              a layer alone: its own effect, and its mechanisms'
    ln(1 - Δ)   = Σ_l ρ_l + Σ_{m of any l} ln(1 - μ_m)      all together: every mechanism once

Eliminating ρ_l leaves the product and one correction for each mechanism that n_m > 1 layers share:

    ln(1 - Δ)   = Σ_l ln(1 - Δ_l) - Σ_m (n_m - 1) ln(1 - μ_m)

So it is ``independent`` where no two layers share a mechanism. It holds where layers and mechanisms scale what the others left.

By hand, time on an H100 (measured by this project, 2026-11-26): alone 16.3, -56.7, -43.4, 25.6 and 6.3 %. The second and the
third cut the batch in two, which alone costs 56.7 %. The product leaves 0.837 x 1.567 x 1.434 x 0.744 x 0.937 = 1.3112: -31.1 %.
Divided once by 1.567 it leaves 0.8368: +16.3 %. The joint run saved 11.0 %.

Source: this project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from deltastack.composition import domain
from deltastack.errors import FormulaError

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.float64]


def counted_again(name: str, layers: Sequence[str]) -> str | None:
    """What a product over layers that share a mechanism does, said before anything is measured; None where one layer has it.

    >>> counted_again("micro_batches", ["chiplet", "pipeline"])
    'the mechanism micro_batches is shared by chiplet and pipeline: a product of their savings counts it twice'
    """
    if len(layers) <= 1:
        return None
    times = "twice" if len(layers) == 2 else f"{len(layers)} times"  # noqa: PLR2004 - a word for two
    return f"the mechanism {name} is shared by {' and '.join(layers)}: a product of their savings counts it {times}"


@overload
def by_mechanism(deltas: Sequence[float], mechanisms: Sequence[float], uses: Sequence[Sequence[bool]]) -> float: ...
@overload
def by_mechanism(deltas: Array, mechanisms: Array, uses: Sequence[Sequence[bool]]) -> Array: ...
def by_mechanism(
    deltas: Sequence[float] | Array, mechanisms: Sequence[float] | Array, uses: Sequence[Sequence[bool]]
) -> float | Array:
    """ln(1 - Δ) = Σ_l ln(1 - Δ_l) - Σ_m (n_m - 1) ln(1 - μ_m): the product, each shared mechanism counted once.

    Two layers cost 50 % and 20 %; both pay the split, which costs 50 % alone: 1.5 x 1.2 / 1.5 = 1.2 is left:

    >>> round(by_mechanism([-0.5, -0.2], [-0.5], [[True], [True]]), 12)
    -0.2

    Args:
        deltas: Savings of each layer alone, (L,) or (L, S), below 1.
        mechanisms: Savings of each mechanism alone, (M,) or (M, S), below 1.
        uses: Whether layer l uses mechanism m, (L, M).

    Returns:
        () or (S,).

    Raises:
        FormulaError: Δ or μ >= 1, not finite, or ``uses`` of another shape.
    """
    alone, shared = domain.savings(deltas), domain.savings(mechanisms)
    for name, saved in (("Δ", alone), ("μ", shared)):
        domain.refuse(name, saved, saved >= 1, "nothing is left to take a logarithm of")
    table = np.asarray(uses, dtype=bool)
    if table.shape != (len(alone), len(shared)):
        raise FormulaError(f"uses: shape {table.shape}; wanted {len(alone), len(shared)}: layers by mechanisms")
    again = np.maximum(table.sum(axis=0) - 1, 0)
    left = np.log1p(-alone).sum(axis=0) - np.tensordot(again, np.log1p(-shared), axes=1)
    found: Array = -np.expm1(left)
    return found if isinstance(deltas, np.ndarray) else float(found)
