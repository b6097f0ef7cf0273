"""The A/A floor of the measured factorial: what its base and the base's twin, run in the same blocks, seem to differ by.

With the total amount of the base b and of its twin t in block i of a process start, r_i = ln(t_i / b_i); floor and words are
the testbed's own (``nested.twin_floor``, ``noise.resolve``), so that the page and ``deltastack measure`` say the same of the
same runs. Units are blocks, or what they lie in where that differs (``cells.nests``), as for every other number of the report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from deltastack.analysis.factorial import nests
from deltastack.model import AA_TWIN, OperatingPoint, Resource, cell_name
from deltastack.statistics.nested_interval import mean_of, twin_floor

if TYPE_CHECKING:
    from deltastack.statistics.aa_noise import Floor

Floors = dict[tuple[OperatingPoint, Resource], "Floor"]
_BASE = cell_name(())


def split(joint: pd.DataFrame) -> tuple[pd.DataFrame, Floors]:
    """A joint table without its twin, and the floor of every resource of which base and twin were read in two blocks or more.

    A resource with a missing or a zero amount has no floor; nor has a table without a twin, as that of a simulation.
    """
    if not joint["cell"].eq(AA_TWIN).any():
        return joint, {}
    both = joint[joint["cell"].isin((_BASE, AA_TWIN))]
    found: Floors = {}
    for (operating_point, resource), rows in both.groupby(["operating_point", "resource"], sort=False):
        logs = _log_ratios(rows)
        if len(logs) > 1:
            found[OperatingPoint(str(operating_point)), Resource(str(resource))] = _floor(logs)
    return joint[joint["cell"] != AA_TWIN].reset_index(drop=True), found


def largest(floor: Floor) -> float:
    """The largest Δ of either sign that two equal cells may show, a fraction: what a Δ has to exceed."""
    return max(abs(floor.low), abs(floor.high))


def _floor(logs: pd.Series[float]) -> Floor:
    """The floor of log ratios by process start and block; the widest nest that differs gives its units."""
    ratios = logs.to_numpy(float)
    starts, blocks = (logs.index.get_level_values(n).to_list() for n in ("replicate", "block"))
    groups = [[ratios[nest == i] for i in range(nest.max() + 1)] for nest in nests(starts, blocks).values()]
    return twin_floor(next((g for g in groups if not mean_of(g).pooled), groups[-1]))


def _log_ratios(rows: pd.DataFrame) -> pd.Series[float]:
    """ln(twin / base) of every block that has both, by process start and block; a cell that a block repeats counts as its mean.

    None if an amount is missing or not positive.
    """
    if rows["amount"].isna().any() or rows["cell"].nunique() < 2:  # noqa: PLR2004 - a pair
        return pd.Series(dtype=float)
    runs = rows.groupby(["cell", "replicate", "block", "position"])["amount"].sum()
    base, twin = (runs[c].groupby(["replicate", "block"]).mean() for c in (_BASE, AA_TWIN))
    both = base.index.intersection(twin.index)
    if not ((base[both] > 0) & (twin[both] > 0)).all():
        return pd.Series(dtype=float)
    ratios: pd.Series[float] = np.log(twin[both] / base[both])
    return ratios
