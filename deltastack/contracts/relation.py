"""What must hold between the columns of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deltastack.contracts.column import first

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A null in any of ``columns`` has a reason; with ``exact``, a reason stands only where one is null.

    Rows in which column ``unless[0]`` holds the word ``unless[1]`` are exempt.
    """

    columns: tuple[str, ...]
    reason: str = "reason"
    exact: bool = True
    unless: tuple[str, str] | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that this relation looks at."""
        return (*self.columns, self.reason, *(self.unless or ())[:1])

    def breaches(self, frame: pd.DataFrame) -> list[str]:
        """Nulls without a reason, and reasons without a null."""
        absent = np.logical_or.reduce([frame[c].isna().to_numpy(bool) for c in self.columns])
        told = (frame[self.reason].fillna("").str.strip() != "").to_numpy(bool)
        bound = np.ones(len(frame), bool) if self.unless is None else (frame[self.unless[0]] != self.unless[1]).to_numpy(bool)
        names = "/".join(self.columns)
        found = []
        if (silent := absent & ~told & bound).any():
            found.append(f"{names}: {int(silent.sum())} nulls without a {self.reason}, first in row {first(silent)}")
        if self.exact and (idle := told & ~absent & bound).any():
            found.append(f"{self.reason}: {int(idle.sum())} given although {names} is there, first in row {first(idle)}")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """``column`` holds one value within each value of ``within`` (in the whole table where that is empty)."""

    column: str
    within: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that this relation looks at."""
        return (self.column, *self.within)

    def breaches(self, frame: pd.DataFrame) -> list[str]:
        """Groups that mix values, with the values that they mix."""
        pairs = frame[list(self.reads)].drop_duplicates()
        groups = [("this table", pairs)] if not self.within else [(_words(k), g) for k, g in pairs.groupby(list(self.within))]
        found = []
        for name, group in groups:
            values = sorted(map(str, group[self.column].dropna().unique()))
            if len(values) > 1:
                shown = "; ".join(values[:_SHOWN])
                found.append(f"{self.column}: {len(values)} values in {name} are never pooled: {shown}")
        return found


def _words(key: object) -> str:
    return ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)


Relation = Absence | Single
