"""What each column of a table of runs is: a layer, a repeat, a block, a setting or a metric."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from deltastack.errors import FactorialError
from deltastack.own_runs import metric_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ON = frozenset({"1", "1.0", "on", "true", "yes"})
OFF = frozenset({"0", "0.0", "off", "false", "no"})
_SHOWN = 3
_MOSTLY = 0.6
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$", re.IGNORECASE)
_WITH_UNIT = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-zµ/]+[\w/ ]*)$", re.IGNORECASE)


class Role(StrEnum):
    """What a column says about a run."""

    LAYER = "layer"
    REPEAT = "repeat"
    BLOCK = "block"
    SETTING = "setting"
    METRIC = "metric"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as it was typed: text by column."""

    source: str
    columns: Mapping[str, tuple[str, ...]]
    lines: tuple[int, ...]
    """The line of each row in its file, for messages."""

    def refuse(self, name: str, row: int, why: str) -> FactorialError:
        """An error that names file, line, column and value."""
        return FactorialError(f"{self.source} line {self.lines[row]}, column '{name}': found '{self.columns[name][row]}'; {why}")


def roles(table: Table, metric: str | None) -> dict[str, Role]:
    """The role of every column.

    Args:
        table: The runs.
        metric: The column that was asked for, whatever its name says; None where none was.

    Raises:
        FactorialError: A misspelt name, a layer with a value other than 0 and 1, or a metric that is not there.
    """
    if metric is not None and metric not in table.columns:
        raise FactorialError(f"{table.source}: no column '{metric}'; {metric_names.nearest(metric, list(table.columns))}")
    found = {name: Role.METRIC if name == metric else _role(table, name, values) for name, values in table.columns.items()}
    if Role.METRIC not in found.values():
        listed = ", ".join(n for n, r in found.items() if r is Role.IGNORED) or "none"
        raise FactorialError(
            f"{table.source}: no column is a metric that is known by name (candidates: {listed}); name one with --metric and say "
            "--higher-is-better or --lower-is-better"
        )
    return found


def _role(table: Table, name: str, values: Sequence[str]) -> Role:
    word = metric_names.plain(name)
    if word in metric_names.REPEAT | metric_names.BLOCK:
        return Role.BLOCK if word in metric_names.BLOCK else Role.REPEAT
    meant = metric_names.near_role(name)
    if meant is not None:
        raise FactorialError(f"{table.source}: unknown column '{name}'; did you mean '{meant}'?")
    lowered = {v.strip().lower() for v in values}
    if lowered <= ON | OFF and lowered & ON and lowered & OFF:
        return Role.LAYER
    if word in metric_names.SETTING:
        return Role.SETTING
    if metric_names.higher_is_better(name) is not None:
        return Role.METRIC
    _nearly_a_layer(table, name, values)
    return _unnamed(table, name, values)


def _nearly_a_layer(table: Table, name: str, values: Sequence[str]) -> None:
    """Refuse a column that is 0 or 1 in most rows."""
    wrong = [i for i, v in enumerate(values) if v.strip().lower() not in ON | OFF]
    both = {v.strip().lower() in ON for v in values if v.strip().lower() in ON | OFF}
    if wrong and len(both) == 2 and len(wrong) < (1 - _MOSTLY) * len(values):  # noqa: PLR2004 - on and off
        raise table.refuse(name, wrong[0], "a layer is 0 (off) or 1 (on)")


def _unnamed(table: Table, name: str, values: Sequence[str]) -> Role:
    """The role of a column whose name says nothing: a setting repeats its values, a reading does not."""
    there = [v.strip() for v in values if v.strip()]
    if len(set(there)) <= 1:
        return Role.SETTING if there else Role.IGNORED
    numeric = all(_NUMBER.match(v) for v in there)
    if numeric and metric_names.near_metric(name) is not None:
        raise FactorialError(
            f"{table.source}: unknown column '{name}'; did you mean '{metric_names.near_metric(name)}'? (--metric '{name}' takes "
            "it as it is)"
        )
    repeats = len(set(there)) <= len(there) / 2
    return Role.SETTING if repeats and len(there) == len(values) else Role.IGNORED


def switch(table: Table, name: str, row: int) -> bool:
    """Whether a layer is on in a row."""
    return table.columns[name][row].strip().lower() in ON


def number(table: Table, name: str, row: int) -> float | None:
    """The reading of a row; None where the field is empty.

    Raises:
        FactorialError: A percentage, a unit of its own, a decimal comma, or no number.
    """
    text = table.columns[name][row].strip()
    if text.lower() in {"", "na", "n/a", "nan", "null", "none", "-"}:
        return None
    if text.endswith("%"):
        raise table.refuse(name, row, "write a fraction (0.15 for 15 %), in every row")
    if not _NUMBER.match(text):
        comma = re.fullmatch(r"[+-]?\d+,\d+", text)
        raise table.refuse(name, row, "write a decimal point, not a comma" if comma else "wanted a number")
    value = float(text)
    if value > 1 and metric_names.is_fraction(name):
        raise table.refuse(name, row, f"'{name}' is a fraction between 0 and 1: write 0.753 for 75.3 % (or name it '{name}_pct')")
    return value


def without_units(table: Table, name: str) -> Table:
    """The table with one column's unit, where every reading has the same one after its number, taken off.

    Raises:
        FactorialError: Readings with different units.
    """
    units: dict[str, int] = {}
    stripped = []
    for row, value in enumerate(table.columns[name]):
        found = _WITH_UNIT.match(value.strip())
        plain = value.strip()
        unit = found[2].strip().lower() if found and not _NUMBER.match(plain) else ""
        if plain.lower() not in {"", "na", "n/a", "nan", "null", "none", "-"} and not plain.endswith("%"):
            units.setdefault(unit, row)
        stripped.append(found[1] if found and unit else value)
    if len(units) > 1:
        shown = ", ".join(f"'{u or 'no unit'}' (line {table.lines[r]})" for u, r in list(units.items())[:_SHOWN])
        raise FactorialError(f"{table.source} column '{name}': mixed units {shown}; write every row in one unit")
    return Table(source=table.source, columns={**table.columns, name: tuple(stripped)}, lines=table.lines)
