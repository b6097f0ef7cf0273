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
from deltastack.statistics.nested_interval import twin_floor, widest

if TYPE_CHECKING:
    from deltastack.statistics.aa_noise import Floor

Floors = dict[tuple[OperatingPoint, Resource], "Floor"]
_BASE = cell_name(())


def split(joint: pd.DataFrame) -> tuple[pd.DataFrame, Floors]:
    """Split a joint table into rows without the A/A twin, and the noise floor of each resource.

    A floor needs base and twin readings in at least two blocks. A missing or zero amount gives no floor.
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


def _floor(logs: pd.Series[float]) -> Floor:
    """The floor of log ratios by process start and block; the widest nest that differs gives its units."""
    ratios = logs.to_numpy(float)
    starts, blocks = (logs.index.get_level_values(n).to_list() for n in ("replicate", "block"))
    return twin_floor(widest(ratios, nests(starts, blocks).values()))


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
