"""One technique's saving from its Δ table: base and optimized from the same samples, as a factorial of one layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack import composition
from deltastack.analysis.factorial import Factorial
from deltastack.analysis.formula_totals import estimate
from deltastack.model import AA_TWIN, Bench, Component, Evidence, OperatingPoint, Resource, weakest
from deltastack.statistics.nested_interval import twin_floor

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from deltastack.statistics import Estimate
    from deltastack.statistics.aa_noise import Floor


def factorial_of(rows: pd.DataFrame) -> Factorial | None:
    """Amounts (2, C, S), base and optimized, of the rows of one technique, bench, basis and resource; None without a base.

    Samples that lack an amount in any component are left out whole.
    """
    whole = rows.groupby("replicate").filter(lambda g: bool(g[["base", "optimized"]].notna().all(axis=None)))
    if whole.empty:
        return None
    components = tuple(c for c in Component if c in set(whole["component"]))
    tables = [
        whole.pivot_table(index="component", columns="replicate", values=v, aggfunc="sum", observed=True).reindex(components)
        for v in ("base", "optimized")
    ]
    amounts = np.stack([t.fillna(0.0).to_numpy(np.float64) for t in tables])
    if not (amounts[0].sum(axis=0) > 0).all():
        return None
    head = whole.iloc[0]
    return Factorial(
        bench=Bench(str(head["bench"])),
        operating_point=OperatingPoint(str(head["operating_point"])),
        resource=Resource(str(head["resource"])),
        layers=(str(head["technique"]),),
        components=components,
        amounts=amounts,
        evidence=weakest(Evidence(e) for e in whole["evidence"].unique()),
        canonical=bool(whole["canonical"].all()),
    )


def twin(table: pd.DataFrame, f: Factorial) -> Floor | None:
    """What the base and its twin seem to differ by in a Δ table, in the resource, basis and components of ``f``; None without."""
    rows = table[
        (table["technique"] == AA_TWIN) & (table["resource"] == f.resource) & (table["operating_point"] == f.operating_point)
    ]
    rows = rows[rows["component"].isin(f.components)]
    if rows[["base", "optimized"]].isna().any(axis=None):
        return None
    whole = rows.groupby("replicate")[["base", "optimized"]].sum().to_numpy(np.float64)
    if len(whole) < 2 or not (whole > 0).all():  # noqa: PLR2004 - a spread needs two
        return None
    return twin_floor([np.log(whole[:, 1] / whole[:, 0])])


def saving(f: Factorial, confidence: float) -> Estimate:
    """The saving of a factorial of one layer, with its interval."""
    return estimate(f, _saved, confidence)


def _saved(f: Factorial) -> NDArray[np.float64]:
    total = f.totals
    found: NDArray[np.float64] = composition.delta(total[0], total[1])
    return found
