"""Rows as a trace gave them, their checks, and the workload they become.

Every reader fills ``Raw``; the checks are here once. A bad row is reported with the number of its line.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from deltastack.contracts import WORKLOAD
from deltastack.errors import WorkloadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from deltastack.workload.images import ImageRule

MOST_TOKENS = 100_000_000
"""In one request: ten times the longest context that a model was announced with (Llama 4 Scout, 10 million)."""
AWAY_S = 3.2e7
"""From the row in the middle, before or after it: a year. The longest published trace has four months. Source: this project."""
SHOWN_ROWS = 20
"""Bad rows that a message lists; their number is always given in full."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Raw:
    """(R,) columns as floats, NaN where a field could not be read, each with the line it stood on."""

    line: NDArray[np.int64]
    time_s: NDArray[np.float64]
    images: NDArray[np.float64]
    prompt_tokens: NDArray[np.float64]
    output_tokens: NDArray[np.float64]
    prefix_tokens: NDArray[np.float64] | None = None
    """Leading tokens seen before; None where the trace does not say."""
    reuse_tokens: NDArray[np.float64] | None = None
    """Room in which they are still there, and how many requests brought them (``prefixes.Seen``)."""
    reuse_requests: NDArray[np.float64] | None = None
    torn: Mapping[int, str]
    """Lines that were no row at all, by number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A workload frame (contract WORKLOAD), with how many bad rows were dropped on request."""

    frame: pd.DataFrame
    format: str
    dropped: int


def bad_rows(raw: Raw) -> dict[int, str]:
    """What is wrong, by line, in order of lines; a row with several faults is named with all of them."""
    time_s = np.where(np.isfinite(raw.time_s), raw.time_s, np.nan)
    earlier = np.maximum.accumulate(np.where(np.isnan(time_s), -np.inf, time_s))
    backwards = np.concatenate(([False], time_s[1:] < earlier[:-1])) if time_s.size else np.zeros(0, bool)
    out = _out_of_order(time_s) if backwards.any() else backwards
    fewer = out.sum() < backwards.sum()
    faults = (
        ("timestamp cannot be read", np.isnan(time_s)),
        ("time runs ahead of the rows after it" if fewer else "time runs backwards", out if fewer else backwards),
        ("more than a year from the row in the middle", np.abs(time_s - _middle(time_s)) > AWAY_S),
        *_count_faults("images", raw.images, 0),
        *_count_faults("prompt tokens", raw.prompt_tokens, 1),
        *_count_faults("output tokens", raw.output_tokens, 1),
        ("more images than prompt tokens", raw.images > raw.prompt_tokens),
    )
    found: dict[int, list[str]] = {line: [words] for line, words in raw.torn.items()}
    for words, mask in faults:
        for line in raw.line[mask]:
            found.setdefault(int(line), []).append(words)
    return {line: ", ".join(found[line]) for line in sorted(found)}


def to_workload(raw: Raw, *, name: str, kind: str, rule: ImageRule, drop_bad: bool) -> Read:
    """The workload of ``raw``: time starts at 0, image tokens by ``rule``.

    Raises:
        WorkloadError: Bad rows (all of them counted, the first listed by line), or no row at all.
    """
    bad = bad_rows(raw)
    if bad and not drop_bad:
        raise WorkloadError(_message(name, bad))
    keep = ~np.isin(raw.line, list(bad))
    if not keep.any():
        raise WorkloadError(f"{name}: no request in it" + (f"; all {len(bad)} rows are bad" if bad else " (the file is empty)"))
    if bad and 2 * keep.sum() < raw.line.size + len(raw.torn):
        raise WorkloadError(f"{_message(name, bad)} (no: most rows would go; this is another format or a damaged file)")
    time_s, images, prompt = raw.time_s[keep], raw.images[keep].astype(np.int64), raw.prompt_tokens[keep].astype(np.int64)
    frame = pd.DataFrame(
        {
            "request": pd.array(np.arange(time_s.size), dtype="Int64"),
            "arrival_s": time_s - time_s[0],
            "images": pd.array(images, dtype="Int64"),
            "image_tokens": pd.array(rule.tokens(images, prompt), dtype="Int64"),
            "prompt_tokens": pd.array(prompt, dtype="Int64"),
            "output_tokens": pd.array(raw.output_tokens[keep].astype(np.int64), dtype="Int64"),
            "prefix_tokens": _nullable(raw.prefix_tokens, keep),
            "reuse_tokens": _nullable(raw.reuse_tokens, keep),
            "reuse_requests": _nullable(raw.reuse_requests, keep),
        }
    )
    return Read(frame=WORKLOAD.check(frame, name), format=kind, dropped=len(bad))


def _middle(time_s: NDArray[np.float64]) -> float:
    """The time of the row in the middle of those that have one; a few rows far away do not move it."""
    there = np.sort(time_s[~np.isnan(time_s)])
    return float(there[(there.size - 1) // 2]) if there.size else 0.0


def _out_of_order(time_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The fewest rows to leave out so that time never runs backwards: those outside a longest non-decreasing sequence."""
    ends: list[float] = []
    length = np.zeros(time_s.size, np.int64)
    for row, at in enumerate(time_s.tolist()):
        if math.isnan(at):
            continue
        length[row] = bisect_right(ends, at) + 1
        ends[length[row] - 1 : length[row]] = [at]
    out = ~np.isnan(time_s)
    wanted, ceiling = len(ends), math.inf
    for row in range(time_s.size - 1, -1, -1):
        if length[row] == wanted and wanted and time_s[row] <= ceiling:
            out[row], wanted, ceiling = False, wanted - 1, float(time_s[row])
    return out


def _count_faults(name: str, values: NDArray[np.float64], least: int) -> tuple[tuple[str, NDArray[np.bool_]], ...]:
    present = ~np.isnan(values)
    return (
        (f"{name} cannot be read", ~present),
        (f"{name} below {least}", present & (values < least)),
        (f"{name} not whole", present & (values != np.floor(values))),
        (f"{name} too large (above {MOST_TOKENS:,})", present & (values > MOST_TOKENS)),
    )


def _nullable(values: NDArray[np.float64] | None, keep: NDArray[np.bool_]) -> pd.arrays.IntegerArray:
    if values is None:
        return pd.array([None] * int(keep.sum()), dtype="Int64")
    return pd.array(values[keep].astype(np.int64), dtype="Int64")


def _message(name: str, bad: Mapping[int, str]) -> str:
    listed = "; ".join(f"line {line}: {words}" for line, words in list(bad.items())[:SHOWN_ROWS])
    more = f"; and {len(bad) - SHOWN_ROWS} more" if len(bad) > SHOWN_ROWS else ""
    return f"{name}: {len(bad)} bad rows: {listed}{more}. Mend them, or leave them out with --drop-bad"
