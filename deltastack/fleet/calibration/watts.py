"""The power of a busy accelerator, fitted to measured watts over the load of the simulated runs.

    busy_w / board_w = min(1, base + decode_attention d + compute c)
    power = (1 - w) busy_w + w waiting_w

with d, c of the load and w the share of time that waits for the host's work on images; base, decode_attention, compute >= 0
minimise the sum over rows of squared relative errors.
Rows that draw the board limit are fitted like the others: the clip is not part of the fit.

By hand: 350 W and 450 W on a 700 W board at loads (0, 0) and (0, 0.2): base 0.5, compute (450 - 350) / 700 / 0.2 = 0.714.

Source: this project, docs/decisions. Of the forms tried on the shipped rows (constant, log2 of concurrency, shares of time by
class, this) it has the least leave-one-model-out error of watts, and it alone says why long contexts and prompts draw more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import nnls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.accounting.utilization import Load
    from deltastack.fleet.calibration.host import Run
    from deltastack.fleet.calibration.rows import Row


class Busy(NamedTuple):
    """Shares of the board limit."""

    base: float
    decode_attention: float
    compute: float

    def busy_w(self, load: Load, *, board_w: float) -> float:
        """Power [W] of one busy accelerator, at most its board limit."""
        asked = self.base + self.decode_attention * load.decode_attention + self.compute * load.compute
        return board_w * min(1.0, asked)


def fit(rows: Sequence[Row], runs: Sequence[Run], platforms: Mapping[str, Platform]) -> Busy | None:
    """The three shares, from the rows whose power was read; None where that are fewer than three."""
    pairs = [(row, run) for row, run in zip(rows, runs, strict=True) if row.power_w is not None]
    if len(pairs) < len(Busy._fields):
        return None
    share = np.array([_busy_share(row, run, platforms[row.platform].board_w) for row, run in pairs])
    loads = np.array([(1.0, run.load.decode_attention, run.load.compute) for _, run in pairs])
    found, _ = nnls(loads / share[:, None], np.ones(len(pairs)))
    return Busy(*map(float, found))


def power_w(run: Run, busy: Busy, *, board_w: float) -> float:
    """Mean power [W] of one accelerator of a run.

    By hand: 500 W busy, a tenth of the time waiting at 100 W: 460 W.
    """
    return (1 - run.waiting) * busy.busy_w(run.load, board_w=board_w) + run.waiting * run.waiting_w


def _busy_share(row: Row, run: Run, board_w: float) -> float:
    """What an accelerator drew while busy, of its board limit, from its mean power."""
    mean_w = (row.power_w or 0.0) / row.accelerators
    return (mean_w - run.waiting * run.waiting_w) / (1 - run.waiting) / board_w
