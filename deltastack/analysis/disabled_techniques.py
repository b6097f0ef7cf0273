"""Disabled techniques and their savings alone.

A layer with no enabled technique reports 0 %; that does not mean its techniques have no effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deltastack import statistics

if TYPE_CHECKING:
    import pandas as pd

    from deltastack.analysis.factorial import Factorial

ALL = "all"


class DisabledTechnique(NamedTuple):
    """One disabled technique, and its saving alone at the central values."""

    technique: str
    delta: float
    low: float | None
    high: float | None
    """Over the draws (``statistics.drawn_ends``); None for a single one."""
    draws: int | None = None
    """How many; None where they are blocks of measurements."""
    caveat: str | None = None
    """An SLO that it violates, a quality limit that it breaks."""


def of_layer(table: pd.DataFrame | None, f: Factorial, confidence: float) -> list[DisabledTechnique]:
    """Every technique of a layer that has none enabled, the largest loss first; empty for a layer that has one enabled.

    Amounts are summed over components, at the bench, operating point and resource of ``f``. A technique with a missing amount, or
    against another baseline (``NAME@BASELINE``), is left out.
    """
    if table is None:
        return []
    mine = table[(table["operating_point"] == f.operating_point) & (table["resource"] == f.resource)]
    mine = mine[~mine["technique"].str.contains("@")]
    everything = mine[mine["technique"] == ALL]
    if everything.empty or not everything["base"].eq(everything["optimized"]).fillna(value=False).all():
        return []
    found = []
    for name, rows in mine[mine["technique"] != ALL].groupby("technique"):
        whole = rows.groupby("replicate")[["base", "optimized"]].sum().to_numpy(float)
        if rows[["base", "optimized"]].isna().any(axis=None) or not (whole[:, 0] > 0).all():
            continue
        deltas = 1 - whole[:, 1] / whole[:, 0]
        low, high = statistics.drawn_ends(deltas, confidence=confidence)
        found.append(DisabledTechnique(str(name), float(deltas[0]), low, high, deltas.size if f.drawn else None))
    return sorted(found, key=lambda o: o.delta)
