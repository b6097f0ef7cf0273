"""The most that each layer could save: the share of the base in the components that it changes.

A layer that leaves a component as it is cannot save that component's share, however fast it makes the rest. A layer may
also put something into a component (a cost); then what it touches says nothing of a gain, and the ceiling still holds.

Source: G. Amdahl, AFIPS 1967.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.analysis.attribution import Share
    from deltastack.analysis.factorial import Factorial
    from deltastack.statistics import Estimate

UNCHANGED = 1e-9
"""A component whose amount differs by no more than this share of the whole base was left alone."""


class Ceiling(NamedTuple):
    """What one layer touches, at most saves and does save of one resource; fractions."""

    layer: str
    touches: tuple[str, ...]
    ceiling: float
    saves: Estimate


def ceilings(f: Factorial, shares: Sequence[Share]) -> list[Ceiling]:
    """One row a layer, of the central draw or of the mean over blocks."""
    amounts = f.amounts[..., 0] if f.drawn else f.amounts.mean(axis=-1)
    base = amounts[0]
    whole = base.sum()
    found = []
    for single, share in zip(f.singles, shares, strict=True):
        changed = np.abs(amounts[single] - base) > UNCHANGED * whole
        touched = tuple(str(c) for c, there in zip(f.components, changed, strict=True) if there)
        found.append(Ceiling(share.layer, touched, float(base[changed].sum() / whole), share.alone))
    return found
