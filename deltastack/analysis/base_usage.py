"""The baseline of both benches: simulated usage, and the base cell of the measured factorial."""

from __future__ import annotations

import pandas as pd

from deltastack.contracts import USAGE
from deltastack.model import cell_name

_BASE = cell_name(())


def with_measured(baseline: pd.DataFrame, joint: pd.DataFrame) -> pd.DataFrame:
    """``baseline`` (contract USAGE) with the base runs of ``joint`` (contract JOINT) as rows of its bench.

    ``replicate`` numbers the runs in the order of process starts, blocks and positions.
    """
    base = joint[joint["cell"] == _BASE]
    runs = base[["replicate", "block", "position"]].drop_duplicates().sort_values(["replicate", "block", "position"])
    number = {tuple(row): n for n, row in enumerate(runs.itertuples(index=False, name=None))}
    keys = base[["replicate", "block", "position"]].itertuples(index=False, name=None)
    rows = base.assign(replicate=[number[tuple(key)] for key in keys])[[c.name for c in USAGE.columns]]
    present = [table for table in (baseline, rows) if len(table)]
    return pd.concat(present, ignore_index=True) if present else baseline
