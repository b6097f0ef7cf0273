"""Techniques that a stack leaves off, and what each would do alone: a layer without any is not one without effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deltastack import statistics

if TYPE_CHECKING:
    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.results import Results

ALL = "all"


class Off(NamedTuple):
    """One technique that is off, and its Δ alone at the central values."""

    technique: str
    """Its name, and that it misses the latency goals or the quality limit if it does."""
    delta: float
    low: float | None
    high: float | None
    """Over the draws (``statistics.drawn_ends``); None for a single one."""


def off_here(results: Results, f: Factorial, layer: str) -> list[Off]:
    """Every technique of a layer that has none on, the largest loss first; empty for a layer that has one on.

    Sums over components on the bench, basis and resource of ``f``. A technique with a missing amount, or against another baseline
    (``NAME@BASELINE``), is left out.
    """
    table = results.deltas.get(f"{layer}/{f.bench}")
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
        late = results.objection(f, f"{layer}/{name}")
        called = f"{name}, which {late}," if late else str(name)
        found.append(Off(called, float(deltas[0]), *statistics.drawn_ends(deltas, confidence=results.stack.confidence)))
    return sorted(found, key=lambda o: o.delta)
