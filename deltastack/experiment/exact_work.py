"""The card of exact work: what each cell did, counted and not timed, and so the same in every run.

A figure of a cell counts if every run of the cell gave it to the last digit; one that did not is named and left out. Where the
declared work fixes the counts, the card is the same on every machine of one instruction set, and so is its ``digest``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltastack.composition import independent
from deltastack.model import AA_TWIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

BASE = "base"
FIGURES = (
    "weights_read_byte",
    "kv_read_byte",
    "kv_written_byte",
    "passes",
    "operations",
    "packed_operations",
    "computed_tokens",
    "generated_tokens",
)
"""What may be exact, the first to read first."""
_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactWork:
    """Exact amounts by cell and figure."""

    cells: Mapping[str, Mapping[str, int]]
    """The base first, then the cells in the order of the table."""
    uneven: tuple[str, ...] = ()
    """``CELL: FIGURE`` that runs of one cell did not agree on."""

    @property
    def figures(self) -> tuple[str, ...]:
        """Those of the base that some cell changes, the first to read first."""
        base = self.cells.get(BASE, {})
        mine = [n for n in FIGURES if base.get(n)]
        return tuple(n for n in mine if any(c.get(n, base[n]) != base[n] for c in self.cells.values()))

    @property
    def digest(self) -> str:
        """Twelve hex digits of every amount; equal cards have equal ones.

        >>> a = ExactWork(cells={"base": {"passes": 2}, "idle": {"passes": 2}})
        >>> a.digest == ExactWork(cells={"idle": {"passes": 2}, "base": {"passes": 2}}).digest
        True
        """
        text = json.dumps({"cells": self.cells, "uneven": sorted(self.uneven)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]

    def saved(self, cell: str, figure: str) -> float | None:
        """1 - amount / base, a fraction; None where one of both was not counted or the base has none.

        >>> ExactWork(cells={"base": {"passes": 4}, "pipeline": {"passes": 6}}).saved("pipeline", "passes")
        -0.5
        """
        base, mine = self.cells.get(BASE, {}).get(figure), self.cells.get(cell, {}).get(figure)
        return None if not base or mine is None else 1 - mine / base

    def product(self, layers: Sequence[str], figure: str) -> float | None:
        """1 - Π (1 - Δ_l) over ``layers``; None where one was not counted."""
        alone = [self.saved(x, figure) for x in layers]
        known = [x for x in alone if x is not None]
        return independent(known) if known and len(known) == len(alone) else None

    def plain(self) -> dict[str, Any]:
        """For the JSON beside a measured table."""
        return {"digest": self.digest, "cells": {c: dict(x) for c, x in self.cells.items()}, "uneven": list(self.uneven)}


def of_counters(counters: pd.DataFrame) -> ExactWork:
    """The card of a table (contract COUNTER); the base's twin is no cell of its own."""
    cells: dict[str, dict[str, int]] = {BASE: {}}
    uneven = []
    mine = counters[counters["counter"].isin(FIGURES) & (counters["cell"] != AA_TWIN) & counters["amount"].notna()]
    for (cell, name), rows in mine.groupby(["cell", "counter"], sort=False):
        amounts = set(rows["amount"])
        if len(amounts) == 1:
            cells.setdefault(str(cell), {})[str(name)] = int(amounts.pop())
        else:
            uneven.append(f"{cell}: {name}")
    return ExactWork(cells={c: x for c, x in cells.items() if x}, uneven=tuple(sorted(uneven)))


def of_plain(told: Mapping[str, Any], cells: Iterable[str] | None = None) -> ExactWork:
    """The card from ``plain``'s values, of some cells or of all."""
    kept = None if cells is None else {BASE, *cells}
    return ExactWork(
        cells={c: dict(x) for c, x in told.get("cells", {}).items() if kept is None or c in kept},
        uneven=tuple(told.get("uneven", ())),
    )
