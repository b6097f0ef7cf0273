"""Techniques that a stack leaves off, and what each would do alone: a layer without any is not one without effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from deltastack.report.cells import Factorial
    from deltastack.report.results import Results

ALL = "all"


class Off(NamedTuple):
    """One technique that is off, and its Δ alone at the central values."""

    technique: str
    """Its name, and that it misses the latency goals or the quality limit if it does."""
    delta: float


def off_here(results: Results, f: Factorial, layer: str) -> list[Off]:
    """Every technique of a layer that has none on, the largest loss first; empty for a layer that has one on.

    Sums over components on the bench, basis and resource of ``f``. A technique with a missing amount, or against another baseline
    (``NAME@BASELINE``), is left out.
    """
    table = results.deltas.get(f"{layer}/{f.bench}")
    if table is None:
        return []
    mine = table[(table["basis"] == f.basis) & (table["resource"] == f.resource) & (table["replicate"] == 0)]
    mine = mine[~mine["technique"].str.contains("@")]
    everything = mine[mine["technique"] == ALL]
    if everything.empty or not everything["base"].eq(everything["optimized"]).fillna(value=False).all():
        return []
    found = []
    for name, rows in mine[mine["technique"] != ALL].groupby("technique"):
        base, optimized = rows["base"].sum(skipna=False), rows["optimized"].sum(skipna=False)
        if rows["base"].isna().any() or rows["optimized"].isna().any() or base <= 0:
            continue
        late = results.objection(f, f"{layer}/{name}")
        found.append(Off(f"{name}, which {late}," if late else str(name), float((base - optimized) / base)))
    return sorted(found, key=lambda o: o.delta)
