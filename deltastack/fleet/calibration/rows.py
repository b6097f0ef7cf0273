"""Measured rows of a serving engine in a closed loop, from a CSV file: lines that begin with ``#`` are comments.

Columns (other names that are understood in brackets; any further column is ignored and named):

    model, concurrency [max_num_seqs], output_tokens_per_s [throughput]        needed
    power_w [avg_power_w, power]            of all accelerators; empty where nobody read it
    platform [gpu], precision, tensor_parallel [tp], num_gpus                  h100_sxm, bf16, 1, as tensor_parallel
    mean_output_tokens [output_tokens], output_tokens_pNN                      mean and quantiles of the output lengths
    prompt_tokens, image_tokens, avg_batch_size                                of one request; sequences really served together
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from deltastack.contracts.files import ordinary
from deltastack.errors import MeasurementError
from deltastack.fleet.operators import Known, known

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OTHER_NAMES = {
    "max_num_seqs": "concurrency",
    "throughput": "output_tokens_per_s",
    "avg_power_w": "power_w",
    "power": "power_w",
    "gpu": "platform",
    "tp": "tensor_parallel",
    "output_tokens": "mean_output_tokens",
}
NEEDED = ("model", "concurrency", "output_tokens_per_s")
NUMBERS = ("power_w", "tensor_parallel", "num_gpus", "mean_output_tokens", "prompt_tokens", "image_tokens", "avg_batch_size")
COLUMNS = (*NEEDED, "platform", "precision", *NUMBERS)
WHOLE = ("concurrency", "tensor_parallel", "num_gpus", "prompt_tokens", "image_tokens")
PLATFORM_OF = {"H100": "h100_sxm", "H200": "h200_sxm", "B200": "b200_sxm", "L40S": "l40s"}
QUANTILE = re.compile(r"output_tokens_p(\d\d?)")
STEADY = 0.9
SHOWN = 8
"""Breaches named before the rest is only counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured point."""

    line: int
    model: str
    platform: str
    precision: str
    tensor_parallel: int
    accelerators: int
    concurrency: int
    output_tokens_per_s: float
    power_w: float | None
    """Of all accelerators together."""
    prompt_tokens: int
    image_tokens: int
    mean_output_tokens: float
    quantiles: Mapping[float, float] = field(default_factory=dict)
    avg_batch_size: float | None = None

    @property
    def steady(self) -> bool:
        """Whether the engine really served about ``concurrency`` sequences at once; taken on trust where nobody counted."""
        return self.avg_batch_size is None or self.avg_batch_size >= STEADY * self.concurrency


class Found(NamedTuple):
    """What a file held."""

    rows: tuple[Row, ...]
    ignored: tuple[str, ...]
    """Columns that mean nothing here."""


def read(path: Path, *, prompt_tokens: int, output_tokens: float) -> Found:
    """The rows of a CSV file.

    Args:
        path: The file.
        prompt_tokens: Text tokens of a prompt where the file does not say.
        output_tokens: Mean output where the file does not say.

    Raises:
        MeasurementError: No such file, a column that is missing, or bad rows; each is named by its line.
    """
    try:
        text = ordinary(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MeasurementError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    table = list(csv.reader(line for _, line in lines))
    header = _header(path, table)
    defaults = {"prompt_tokens": prompt_tokens, "mean_output_tokens": output_tokens}
    rows, breaches = [], []
    for (line, _), cells in zip(lines[1:], table[1:], strict=True):
        try:
            rows.append(_row(line, header, cells, defaults))
        except ValueError as error:
            breaches.append(f"line {line}: {error}")
    if breaches:
        more = f"; and {len(breaches) - SHOWN} more" if len(breaches) > SHOWN else ""
        raise MeasurementError(f"{path.name}: {len(breaches)} bad rows: " + "; ".join(breaches[:SHOWN]) + more)
    return Found(tuple(rows), tuple(h for h in header if h not in COLUMNS and not QUANTILE.fullmatch(h)))


def _header(path: Path, table: list[list[str]]) -> list[str]:
    """The names of the columns, each as the module knows it."""
    if len(table) < 2:  # noqa: PLR2004 - a header and one row
        raise MeasurementError(f"{path.name}: no rows; wanted a CSV file with the columns {', '.join(NEEDED)}")
    header = [OTHER_NAMES.get(h.strip(), h.strip()) for h in table[0]]
    missing = [n for n in NEEDED if n not in header]
    twice = sorted({h for h in header if header.count(h) > 1})
    if missing or twice:
        words = [f"no column {', '.join(missing)}"] * bool(missing) + [f"{', '.join(twice)} stands twice"] * bool(twice)
        raise MeasurementError(f"{path.name}: {'; '.join(words)}; it has: {', '.join(table[0])}")
    return header


def _row(line: int, header: list[str], cells: list[str], defaults: Mapping[str, float]) -> Row:
    """One line.

    Raises:
        ValueError: What is wrong with it.
    """
    if len(cells) != len(header):
        msg = f"{len(cells)} cells for {len(header)} columns"
        raise ValueError(msg)
    given = {h: c.strip() for h, c in zip(header, cells, strict=True) if c.strip()}
    missing = [n for n in NEEDED if n not in given]
    if missing:
        msg = f"no {', '.join(missing)}"
        raise ValueError(msg)
    found = {n: _number(n, given[n]) for n in (*NEEDED[1:], *NUMBERS) if n in given}
    parallel = int(found.get("tensor_parallel", 1))
    name = given.get("platform", "h100_sxm")
    row = Row(
        line=line,
        model=given["model"],
        platform=PLATFORM_OF.get(name, name),
        precision=given.get("precision", "bf16"),
        tensor_parallel=parallel,
        accelerators=int(found.get("num_gpus", parallel)),
        concurrency=int(found["concurrency"]),
        output_tokens_per_s=found["output_tokens_per_s"],
        power_w=found.get("power_w"),
        prompt_tokens=int(found.get("prompt_tokens", defaults["prompt_tokens"])),
        image_tokens=int(found.get("image_tokens", 0)),
        mean_output_tokens=found.get("mean_output_tokens", defaults["mean_output_tokens"]),
        quantiles={int(m[1]) / 100: _number(h, given[h]) for h in given if (m := QUANTILE.fullmatch(h))},
        avg_batch_size=found.get("avg_batch_size"),
    )
    _known(row)
    return row


def _number(name: str, text: str) -> float:
    """A positive number; whole where the column counts things; image tokens may be none."""
    try:
        value = float(text)
    except ValueError:
        msg = f"{name}: wanted a number, found '{text}'"
        raise ValueError(msg) from None
    low = 0.0 if name == "image_tokens" else math.ulp(0.0)
    if not low <= value < math.inf or (name in WHOLE and value != int(value)):
        msg = f"{name}: wanted a {'whole ' * (name in WHOLE)}number above 0, found '{text}'"
        raise ValueError(msg)
    return value


def _known(row: Row) -> None:
    """Refuse what no operator table is for, naming what there is."""
    every = known()
    wanted = Known(row.model, row.platform, row.precision, row.tensor_parallel)
    if wanted in every:
        return
    models = sorted({k.model for k in every})
    if row.model not in models:
        msg = f"no operator times for model '{row.model}'; there are: {', '.join(models)}"
        raise ValueError(msg)
    have = ", ".join(f"{k.platform} {k.precision} x {k.tensor_parallel}" for k in every if k.model == row.model)
    msg = f"no operator times for {row.model} on {row.platform} {row.precision} x {row.tensor_parallel}; it has: {have}"
    raise ValueError(msg)
