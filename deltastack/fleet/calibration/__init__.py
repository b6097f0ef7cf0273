"""Calibration: constants of the host and of power, fitted to measured rows, each with its error on rows left out.

Every model is left out once: constants are fitted to all rows of the others from the start, and predict its rows. With one
model only, every row is left out once instead, and the answer says so: that error is smaller than what a new model would see.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from deltastack.errors import MeasurementError
from deltastack.fleet.calibration import host, watts
from deltastack.fleet.calibration.host import Host, House
from deltastack.fleet.calibration.rows import Found, Row, read
from deltastack.fleet.calibration.watts import Busy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deltastack.fleet.calibration.host import Run

__all__ = [
    "OUTPUT_TOKENS",
    "PROMPT_TOKENS",
    "SHIPPED",
    "Busy",
    "Calibration",
    "Errors",
    "Fold",
    "Found",
    "Host",
    "House",
    "Row",
    "calibrate",
    "read",
]

SHIPPED = Path(__file__).with_name("mlenergy_h100_text.csv")
"""Rows of ML.ENERGY benchmark v3 (see NOTICE and the file's first lines), which the shipped constants were fitted to."""
PROMPT_TOKENS, OUTPUT_TOKENS = 300, 500
"""Of one request, where a file does not say. Source: no chat prompts are published with the shipped rows; where keys and
values fill the memory (five rows) prompts of 150 to 300 tokens give the batch sizes that were observed."""
LEAST_ROWS = 3
"""Two constants leave nothing to judge them by with fewer."""


class Errors(NamedTuple):
    """Predicted over measured, less one, of one row; None where its power was not read."""

    tokens_per_s: float
    power: float | None
    energy_per_token: float | None


class Fold(NamedTuple):
    """Constants fitted without one group."""

    host: Host
    busy: Busy | None


class Calibration(NamedTuple):
    """Fitted constants, and what they get wrong."""

    host: Host
    busy: Busy | None
    rows: tuple[Row, ...]
    """The steady ones, which were fitted."""
    unsteady: tuple[Row, ...]
    in_sample: tuple[Errors, ...]
    left_out: tuple[Errors, ...]
    """Of each row, predicted by constants fitted without its group."""
    group: str
    """``model`` or ``row``: what was left out at a time."""
    folds: tuple[Fold, ...]
    """The constants without each group: how much they hang on one of them."""


def calibrate(rows: Sequence[Row], house: House) -> Calibration:
    """Fit both sets of constants and leave each group out once.

    Args:
        rows: As ``read`` gives them.
        house: What the rows do not say; at least the platforms that they name.

    Raises:
        MeasurementError: Fewer than three steady rows.
        CapacityError: A row that does not fit its accelerators.
    """
    steady = [row for row in rows if row.steady]
    if len(steady) < LEAST_ROWS:
        raise MeasurementError(
            f"wanted {LEAST_ROWS} or more steady rows (avg_batch_size at least 0.9 of concurrency), "
            f"found {len(steady)} of {len(rows)}"
        )
    group = "model" if len({row.model for row in steady}) > 1 else "row"
    key: Callable[[Row], object] = (lambda row: row.model) if group == "model" else (lambda row: row.line)
    first = host.simulate_rows(steady, host.start(house), house)
    fitted, runs = host.fit(steady, house, first)
    busy = watts.fit(steady, runs, house.platforms)
    left_out, folds = _left_out(steady, first, house, key)
    return Calibration(
        host=fitted,
        busy=busy,
        rows=tuple(steady),
        unsteady=tuple(row for row in rows if not row.steady),
        in_sample=tuple(_errors(row, run, busy, house) for row, run in zip(steady, runs, strict=True)),
        left_out=left_out,
        group=group,
        folds=folds,
    )


def _left_out(
    rows: Sequence[Row], first: Sequence[Run], house: House, key: Callable[[Row], object]
) -> tuple[tuple[Errors, ...], tuple[Fold, ...]]:
    """The errors of every row under constants that never saw its group, and those constants."""
    found: dict[int, Errors] = {}
    folds = []
    for left in dict.fromkeys(map(key, rows)):
        kept = [i for i, row in enumerate(rows) if key(row) != left]
        training = [rows[i] for i in kept]
        fitted, runs = host.fit(training, house, [first[i] for i in kept])
        folds.append(Fold(fitted, watts.fit(training, runs, house.platforms)))
        judged = [row for row in rows if key(row) == left]
        predicted = host.simulate_rows(judged, fitted, house)
        found |= {row.line: _errors(row, run, folds[-1].busy, house) for row, run in zip(judged, predicted, strict=True)}
    return tuple(found[row.line] for row in rows), tuple(folds)


def _errors(row: Row, run: Run, busy: Busy | None, house: House) -> Errors:
    """How far one prediction is off.

    By hand: 110 tokens/s and 550 W predicted, 100 tokens/s and 500 W measured: 10 %, 10 % and 5 J against 5 J, 0 %.
    """
    rate = run.tokens_per_s / row.output_tokens_per_s
    if busy is None or row.power_w is None:
        return Errors(rate - 1, None, None)
    power = row.accelerators * watts.power_w(run, busy, board_w=house.platforms[row.platform].board_w) / row.power_w
    return Errors(rate - 1, power - 1, power / rate - 1)
