"""A number and its ends; these are None where there is a single sample."""

from __future__ import annotations

from typing import NamedTuple

from deltastack.model import IntervalKind


class Estimate(NamedTuple):
    """A number and its interval; the ends are None where there is a single sample."""

    value: float
    low: float | None
    high: float | None
    draws: int | None = None
    """How many draws of a model the ends are the range of; None where they are an interval of confidence."""

    @property
    def kind(self) -> IntervalKind:
        """What the ends are."""
        return IntervalKind.CONFIDENCE if self.draws is None else IntervalKind.RANGE_OF_DRAWS
