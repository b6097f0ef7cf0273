"""A table that a person can type (CSV, or a data frame), read into experiments: one a setting."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import TYPE_CHECKING

from deltastack.contracts.files import ordinary
from deltastack.errors import FactorialError
from deltastack.own_runs import metric_names
from deltastack.own_runs.columns import OFF, ON, Role, Table, number, roles, switch, without_units
from deltastack.own_runs.experiment import Experiment, Mechanism, Metric, Observation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

_WANTED = "wanted a header and one row a run: a column 0/1 for each layer, and a column for each metric"
_QUALITY = frozenset({"accuracy", "score", "exact_match", "f1"})
_SHOWN = 6


def read_csv(path: Path) -> Table:
    """The table in a CSV file; commas, semicolons or tabs.

    Raises:
        FactorialError: No such file, no text, no rows, or rows of another length than the header.
    """
    try:
        text = ordinary(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FactorialError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'}); {_WANTED}") from error
    return table_of(text, path.name)


def read_frame(frame: pd.DataFrame) -> Table:
    """The table in a data frame.

    Raises:
        FactorialError: No rows.
    """
    return table_of(frame.to_csv(index=False), "data frame")


def table_of(text: str, source: str) -> Table:
    """A table from the text of a CSV.

    Raises:
        FactorialError: No rows, a name given twice, or rows of another length than the header.
    """
    lines = [(i, line) for i, line in enumerate(io.StringIO(text, newline=None), 1) if line.strip() and not line.startswith("#")]
    if len(lines) < 2:  # noqa: PLR2004 - a header and a row
        raise FactorialError(f"{source}: {'only a header' if lines else 'empty'}; {_WANTED}")
    header_line = lines[0][1]
    separator = max(",;\t", key=header_line.count)
    header, *rows = list(csv.reader((line for _, line in lines), delimiter=separator))
    names = [h.strip() for h in header]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice or "" in names:
        raise FactorialError(
            f"{source}: header has {'column ' + repr(twice[0]) + ' twice' if twice else 'a column without a name'}"
        )
    for (line, _), row in zip(lines[1:], rows, strict=False):
        if len(row) != len(names):
            raise FactorialError(
                f"{source} line {line}: {len(row)} fields, the header has {len(names)}; add or remove a '{separator}'"
            )
    columns = {name: tuple(row[i] for row in rows) for i, name in enumerate(names)}
    return Table(source=source, columns=columns, lines=tuple(i for i, _ in lines[1:]))


def experiments(
    table: Table,
    *,
    metric: str | None = None,
    higher_is_better: bool | None = None,
    mechanisms: tuple[Mechanism, ...] = (),
) -> tuple[Experiment, ...]:
    """One experiment a setting, in the order of the file.

    Args:
        table: The runs.
        metric: The column to analyse; the first that is known by its name if None.
        higher_is_better: The direction; by the metric's name if None.
        mechanisms: Each a column 0/1, 1 in the runs of the mechanism alone; one without a column was not run.

    Raises:
        FactorialError: Columns, values or units that do not hold.
    """
    shared = {m.name for m in mechanisms}
    kinds = roles(replace(table, columns={n: v for n, v in table.columns.items() if n not in shared}), metric)
    chosen, notes = _metric(table, kinds, metric, higher_is_better=higher_is_better)
    table = without_units(table, chosen.name)
    layers = tuple(n for n, r in kinds.items() if r is Role.LAYER)
    settings = [n for n, r in kinds.items() if r is Role.SETTING]
    _one_unit(table, settings)
    _not_tied(table, layers, settings)
    groups: dict[tuple[str, ...], list[int]] = {}
    for row in range(len(table.lines)):
        groups.setdefault(tuple(table.columns[s][row].strip() for s in settings), []).append(row)
    named = [s for i, s in enumerate(settings) if len({g[i] for g in groups}) > 1 or len(groups) == 1]
    found = []
    for key, rows in groups.items():
        setting = {s: v for s, v in zip(settings, key, strict=True) if s in named and v}
        cells = {row: _cell(table, row, layers, mechanisms) for row in rows}
        runs, failed = _observations(table, cells, kinds, chosen.name)
        more = (f"{failed} run(s) without a reading left out",) if failed else ()
        said = (*notes, *more)
        found.append(
            Experiment(metric=chosen, layers=layers, setting=setting, observations=runs, notes=said, mechanisms=mechanisms)
        )
    return tuple(found)


def _metric(
    table: Table, kinds: dict[str, Role], asked: str | None, *, higher_is_better: bool | None
) -> tuple[Metric, tuple[str, ...]]:
    """The metric, and what the file holds besides it."""
    there = [n for n, r in kinds.items() if r is Role.METRIC]
    by_name = [n for n in there if metric_names.plain(n) not in _QUALITY]
    name = asked or (by_name or there)[0]
    direction = metric_names.higher_is_better(name) if higher_is_better is None else higher_is_better
    if direction is None:
        raise FactorialError(
            f"{table.source}: whether more of '{name}' is better is not known; say --higher-is-better or --lower-is-better"
        )
    notes = []
    if others := [n for n in there if n != name]:
        notes.append(f"other metrics (--metric): {', '.join(others)}")
    if ignored := [n for n, r in kinds.items() if r is Role.IGNORED]:
        notes.append(f"columns not used: {', '.join(ignored)}")
    return Metric(name=name, higher_is_better=direction), tuple(notes)


def _one_unit(table: Table, settings: list[str]) -> None:
    for name in settings:
        units = dict.fromkeys(v.strip() for v in table.columns[name])
        if metric_names.plain(name) == "unit" and len(units) > 1:
            raise FactorialError(f"{table.source} column '{name}': mixed units {', '.join(units)}; write every row in one unit")


def _not_tied(table: Table, layers: tuple[str, ...], settings: list[str]) -> None:
    """Refuse a setting that changes with the cells: its runs are unlike and not comparable."""
    cells = [tuple(switch(table, x, row) for x in layers) for row in range(len(table.lines))]
    for name in settings:
        values: dict[tuple[bool, ...], set[str]] = {}
        for cell, value in zip(cells, table.columns[name], strict=True):
            values.setdefault(cell, set()).add(value.strip())
        if len(set.union(*values.values())) > 1 and all(len(v) == 1 for v in values.values()):
            shown = "; ".join(
                f"'{min(v)}' in {' '.join(f'{x}={int(on)}' for x, on in zip(layers, c, strict=True))}" for c, v in values.items()
            )
            raise FactorialError(
                f"{table.source} column '{name}' differs between the cells ({shown[:160]}): unlike runs are not compared; "
                "measure every cell at one value, or remove the column if it only repeats the layers"
            )


def _cell(table: Table, row: int, layers: tuple[str, ...], mechanisms: tuple[Mechanism, ...]) -> int:
    """The cell of a row: the layers that are on, or a place after all sets of layers for a mechanism alone.

    Raises:
        FactorialError: A mechanism with a value other than 0 and 1, beside a layer, or beside another mechanism.
    """
    cell = sum(1 << i for i, name in enumerate(layers) if switch(table, name, row))
    there = [(i, m.name) for i, m in enumerate(mechanisms) if m.name in table.columns]
    for _, name in there:
        if table.columns[name][row].strip().lower() not in ON | OFF:
            raise table.refuse(name, row, "a mechanism is 1 in the runs of it alone, else 0")
    on = [(i, name) for i, name in there if switch(table, name, row)]
    if on and (cell or len(on) > 1):
        beside = " and ".join([n for _, n in on[1:]] + [x for i, x in enumerate(layers) if cell >> i & 1])
        raise table.refuse(on[0][1], row, f"a mechanism is run alone, here beside {beside}: write 0 where a layer has it")
    return (1 << len(layers)) + on[0][0] if on else cell


def _observations(
    table: Table, cells: Mapping[int, int], kinds: dict[str, Role], metric: str
) -> tuple[tuple[Observation, ...], int]:
    """The runs of one setting, and how many have no reading."""
    found: list[Observation] = []
    seen: dict[tuple[int | str, ...], int] = {}
    blocks = [n for n, r in kinds.items() if r is Role.BLOCK]
    marks = [n for n, r in kinds.items() if r in {Role.BLOCK, Role.REPEAT}]
    for row, cell in cells.items():
        mark: tuple[int | str, ...] = (cell, *(table.columns[n][row].strip() for n in marks))
        if marks and mark in seen and not (blocks and len(marks) == 1):
            raise FactorialError(
                f"{table.source} line {table.lines[row]}: the same cell and {' and '.join(marks)} as line "
                f"{table.lines[seen[mark]]}; number the repeats, or remove one of the two rows"
            )
        seen[mark] = row
        value = number(table, metric, row)
        if value is not None:
            block = " ".join(table.columns[n][row].strip() for n in blocks) if blocks else None
            found.append(Observation(cell=cell, value=value, block=block))
    return tuple(found), len(cells) - len(found)
