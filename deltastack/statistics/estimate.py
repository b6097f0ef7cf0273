"""A number and its interval; the ends are None where there is a single sample."""

from __future__ import annotations

from typing import NamedTuple


class Estimate(NamedTuple):
    """A number and its interval; the ends are None where there is a single sample."""

    value: float
    low: float | None
    high: float | None
