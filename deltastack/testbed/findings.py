"""What an experiment's runs allow to say: Δ of each cell with its interval, the A/A floor, and what could be resolved.

The floor of a quantity comes from the base's twin (``base@aa``), pair of blocks by pair of blocks, as every Δ does. A Δ inside
what the twin seems to differ by is *not resolved*, however narrow its own interval is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from deltastack.errors import EvidenceError
from deltastack.experiment.meter import Quantity
from deltastack.experiment.plan import Kind
from deltastack.experiment.run_plan import compare, pair_log_ratios
from deltastack.model import AA_TWIN
from deltastack.statistics import aa_noise
from deltastack.statistics.nested_interval import twin_floor

if TYPE_CHECKING:
    from deltastack.experiment.ledger import Entry
    from deltastack.statistics.aa_noise import Floor
    from deltastack.statistics.nested_interval import Nested

TIMED = (Quantity.CPU_S, Quantity.WALL_S, Quantity.INSTRUCTIONS)
EXACT = (Quantity.IO_READ_BYTE,)
GOALS = (0.05, 0.02, 0.01)


class Verdict(NamedTuple):
    """One cell against the base in one quantity; ``nested`` is None with a reason where there is no interval."""

    cell: str
    quantity: Quantity
    nested: Nested | None
    words: str


class Need(NamedTuple):
    """What showing a Δ takes at the observed noise."""

    delta: float
    pairs: int
    minutes: float


def floors(entries: tuple[Entry, ...]) -> dict[Quantity, Floor]:
    """The A/A floor of each timed quantity that was read (``nested.twin_floor``); empty without a twin."""
    groups = {q: pair_log_ratios(entries, AA_TWIN, "base", q) for q in TIMED}
    return {q: twin_floor(g) for q, g in groups.items() if sum(map(len, g)) > 1}


def per_unit(entries: tuple[Entry, ...], floor: Floor, quantity: Quantity) -> int:
    """Pairs behind one unit of ``floor``: 1, or the mean number of pairs a start where starts are the units."""
    pairs = sum(map(len, pair_log_ratios(entries, AA_TWIN, "base", quantity)))
    return max(1, round(pairs / floor.pairs))


def verdicts(entries: tuple[Entry, ...], cells: tuple[str, ...], known: dict[Quantity, Floor]) -> list[Verdict]:
    """Every cell but the base, in every quantity that has a floor; exact quantities are compared as they are."""
    found = []
    for cell in cells:
        for quantity in (*TIMED, *EXACT):
            try:
                nested = compare(entries, cell, "base", quantity)
            except EvidenceError as error:
                found.append(Verdict(cell, quantity, None, _reason(entries, quantity) or str(error)))
                continue
            found.append(Verdict(cell, quantity, nested, _words(nested, known.get(quantity))))
    return found


def needs(floor: Floor, pair_s: float, pairs_a_unit: int = 1) -> list[Need]:
    """Pairs of blocks and minutes of two cells for each of the usual goals, at this floor's spread."""
    found = []
    for goal in GOALS:
        pairs = aa_noise.pairs_needed(floor.sd_log, goal) * pairs_a_unit
        found.append(Need(goal, pairs, pairs * pair_s / 60))
    return found


def pair_s(entries: tuple[Entry, ...]) -> float:
    """Seconds of one pair of blocks of two cells: four runs of the mean length.

    Raises:
        EvidenceError: No run.
    """
    walls = [w for e in entries if (w := e.readings[Quantity.WALL_S].value) is not None and e.slot.kind is Kind.RUN]
    if not walls:
        raise EvidenceError("no run was timed")
    return 4 * math.fsum(walls) / len(walls)


def drift(entries: tuple[Entry, ...], quantity: Quantity = Quantity.CPU_S) -> tuple[float, bool] | None:
    """Relative change from run to run of the base, and whether it is there; None with fewer than four runs."""
    amounts = [
        a for e in entries if e.slot.cell == "base" and e.slot.kind is not Kind.WARM_UP and (a := e.readings[quantity].value)
    ]
    return aa_noise.drift_per_run(amounts) if len(amounts) > 3 else None  # noqa: PLR2004 - Kendall's test says nothing below


def outliers(entries: tuple[Entry, ...], quantity: Quantity = Quantity.CPU_S) -> dict[aa_noise.Outlier, int]:
    """How many runs of the base and its twin are mild or severe outliers; none is dropped."""
    amounts = [
        a
        for e in entries
        if e.slot.cell in {"base", AA_TWIN} and e.slot.kind is Kind.RUN and (a := e.readings[quantity].value) is not None
    ]
    classes = aa_noise.outliers(amounts) if amounts else []
    return {kind: classes.count(kind) for kind in (aa_noise.Outlier.MILD, aa_noise.Outlier.SEVERE)}


def _words(nested: Nested, floor: Floor | None) -> str:
    if floor is not None:
        return str(aa_noise.resolve(nested.delta, nested.low, nested.high, floor))
    if nested.low == nested.high == 0:
        return "equal"
    return "saves" if nested.low > 0 else "costs" if nested.high < 0 else "not resolved"


def _reason(entries: tuple[Entry, ...], quantity: Quantity) -> str | None:
    return next((r for e in entries if (r := e.readings[quantity].reason) is not None), None)
