"""Output lengths from a person: one number, or a file of lengths or of quantiles.

A file is text, one row a line. Either one length a line (a header word is allowed), or a CSV with a column ``output_tokens``,
or a CSV with the columns ``quantile`` and ``output_tokens``, where a quantile is a probability in 0..1 and a row named ``mean``
says the mean:

    quantile,output_tokens
    0.1,48
    0.5,474
    0.9,1358
    mean,619.5
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack.errors import WorkloadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

COLUMN, QUANTILE, MEAN = "output_tokens", "quantile", "mean"


class Lengths(NamedTuple):
    """Either lengths that were seen, or a mean with quantiles."""

    seen: NDArray[np.int64]
    """Empty where there are quantiles."""
    mean: float
    quantiles: Mapping[float, float]


def parse(given: str) -> Lengths:
    """What ``given`` says: a number, or the path of a file.

    Raises:
        WorkloadError: Neither, or a file with bad rows, each named by its line.
    """
    try:
        number = float(given)
    except ValueError:
        return _file(Path(given))
    if not number >= 1 or number == float("inf"):
        raise WorkloadError(f"output tokens: wanted a number of at least 1 or a file, found {given}")
    return Lengths(np.array([], np.int64), number, {})


def _file(path: Path) -> Lengths:
    if not path.is_file():
        raise WorkloadError(f"output tokens: wanted a number or a file of lengths, found neither in '{path}'")
    with path.open(newline="", encoding="utf-8") as f:
        rows = [(n, [cell.strip() for cell in row]) for n, row in enumerate(csv.reader(f), 1) if any(row)]
    if not rows:
        raise WorkloadError(f"{path.name} is empty: wanted one length a line")
    head = rows[0][1]
    if QUANTILE in head and COLUMN in head:
        return _quantiles(path, rows[1:], head.index(QUANTILE), head.index(COLUMN))
    named = not _is_number(head[0])
    at = head.index(COLUMN) if COLUMN in head else 0
    if named and len(head) > 1 and COLUMN not in head:
        raise WorkloadError(f"{path.name} has the columns {', '.join(head)}; wanted one of them to be {COLUMN}")
    values = [_at_least_one(path, n, row, at) for n, row in rows[named:]]
    if not values:
        raise WorkloadError(f"{path.name} has no rows: wanted one length a line")
    seen = np.array(values).round().astype(np.int64)
    return Lengths(seen, float(seen.mean()), {})


def _quantiles(path: Path, rows: list[tuple[int, list[str]]], first: int, second: int) -> Lengths:
    mean, points = None, {}
    for n, row in rows:
        value = _at_least_one(path, n, row, second)
        if row[first] == MEAN:
            mean = value
        elif _is_number(row[first]) and 0 < float(row[first]) < 1:
            points[float(row[first])] = value
        else:
            raise WorkloadError(f"{path.name} line {n}: wanted a probability in 0..1 or '{MEAN}', found '{row[first]}'")
    if not points:
        raise WorkloadError(f"{path.name} has no quantiles")
    ordered = [points[q] for q in sorted(points)]
    if sorted(ordered) != ordered:
        raise WorkloadError(f"{path.name}: quantiles must rise, found {ordered}")
    steps = np.arange(0.005, 1, 0.01)
    return Lengths(np.array([], np.int64), mean or float(np.interp(steps, sorted(points), ordered).mean()), points)


def _at_least_one(path: Path, line: int, row: list[str], at: int) -> float:
    if at >= len(row) or not _is_number(row[at]) or not 1 <= float(row[at]) < float("inf"):
        found = row[at] if at < len(row) else "nothing"
        raise WorkloadError(f"{path.name} line {line}: wanted a length of at least 1 token, found '{found}'")
    return float(row[at])


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
