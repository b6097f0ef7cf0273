"""The A/A floor of the measured factorial: what its base and the base's twin, run in the same blocks, seem to differ by.

With the total amount of the base b and of its twin t in block i of a process start, r_i = ln(t_i / b_i); floor and words are
the testbed's own (``nested.twin_floor``, ``noise.resolve``), so that the page and ``deltastack measure`` say the same of the
same runs. A block is the unit, as for every other number of the report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.model import AGAIN, Basis, Resource, cell_name
from deltastack.testbed.nested import twin_floor

if TYPE_CHECKING:
    import pandas as pd

    from deltastack.testbed.noise import Floor

Floors = dict[tuple[Basis, Resource], "Floor"]
_BASE = cell_name(())


def split(joint: pd.DataFrame) -> tuple[pd.DataFrame, Floors]:
    """A joint table without its twin, and the floor of every resource of which base and twin were read in two blocks or more.

    A resource with a missing or a zero amount has no floor; nor has a table without a twin, as that of a simulation.
    """
    if not joint["cell"].eq(AGAIN).any():
        return joint, {}
    both = joint[joint["cell"].isin((_BASE, AGAIN))]
    found: Floors = {}
    for (basis, resource), rows in both.groupby(["basis", "resource"], sort=False):
        groups = _log_ratios(rows)
        if sum(map(len, groups)) > 1:
            found[Basis(str(basis)), Resource(str(resource))] = twin_floor(groups)
    return joint[joint["cell"] != AGAIN].reset_index(drop=True), found


def largest(floor: Floor) -> float:
    """The largest Δ of either sign that two equal cells may show, a fraction: what a Δ has to exceed."""
    return max(abs(floor.low), abs(floor.high))


def _log_ratios(rows: pd.DataFrame) -> list[np.ndarray]:
    """ln(twin / base) of every block that has both, one array a process start; a cell that a block repeats counts as its mean.

    None if an amount is missing or not positive.
    """
    if rows["amount"].isna().any() or rows["cell"].nunique() < 2:  # noqa: PLR2004 - a pair
        return []
    runs = rows.groupby(["cell", "replicate", "block", "position"])["amount"].sum()
    base, twin = (runs[c].groupby(["replicate", "block"]).mean() for c in (_BASE, AGAIN))
    both = base.index.intersection(twin.index)
    if not ((base[both] > 0) & (twin[both] > 0)).all():
        return []
    logs = np.log(twin[both].to_numpy(float) / base[both].to_numpy(float))
    start = both.get_level_values("replicate").to_numpy()
    return [logs[start == s] for s in np.unique(start)]
