"""Rows of a Δ table summed over components: what each technique saves of each resource, losses first.

Δ = 1 - sum_c optimized_c / sum_c base_c        one for each draw; the first draw holds the central values
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deltastack.model import Evidence, OperatingPoint, Resource, weakest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deltastack.evaluation.fleet_runner import Refused
    from deltastack.evaluation.slo_check import Missed


EXTREME_LOSS_FACTOR = 10.0
"""Times the base, beyond which a percentage says nothing: the base was next to nothing, the loss need not be large."""


def far(delta: float | None) -> bool:
    """Whether a saving is a loss of more than ``FAR`` times the base.

    >>> far(-9.1), far(-8.9), far(0.99), far(None)
    (True, False, False, False)
    """
    return delta is not None and 1 - delta > EXTREME_LOSS_FACTOR


class Saving(NamedTuple):
    """What one technique saves of one resource on one basis; negative is a loss."""

    technique: str
    operating_point: OperatingPoint
    resource: Resource
    delta: float | None
    """With the central values; None where an amount is missing."""
    low: float | None
    """The least over all draws of the parameters' ranges (not a measurement interval)."""
    high: float | None
    evidence: Evidence
    reason: str | None


class Estimate(NamedTuple):
    """One layer, estimated."""

    layer: str
    savings: tuple[Saving, ...]
    notes: dict[str, str]
    """What each technique did, in words."""
    refused: tuple[Refused, ...]
    draws: int
    missed: tuple[Missed, ...] = ()
    """Cells that miss the latency goals at the trace's own arrivals."""


def savings(rows: Iterable[tuple[object, ...]]) -> tuple[Saving, ...]:
    """Savings from rows of DELTA, the greatest loss of a technique first; one that is ``far`` leads nothing.

    Args:
        rows: In the order of the contract's columns.
    """
    groups: dict[tuple[str, OperatingPoint, Resource], list[tuple[object, ...]]] = {}
    for row in rows:
        groups.setdefault((str(row[1]), OperatingPoint(str(row[3])), Resource(str(row[6]))), []).append(row)
    found = [_saving(key, group) for key, group in groups.items()]
    near = [(s.technique, s.delta) for s in found if s.delta is not None and not far(s.delta)]
    worst = {t: min((d for name, d in near if name == t), default=0.0) for t, _, _ in groups}
    return tuple(
        sorted(found, key=lambda s: (worst[s.technique], s.technique, s.operating_point, list(Resource).index(s.resource)))
    )


def _saving(key: tuple[str, OperatingPoint, Resource], rows: list[tuple[object, ...]]) -> Saving:
    evidence = weakest(Evidence(str(row[9])) for row in rows)
    reason = next((str(row[10]) for row in rows if row[10] is not None), None)
    if reason is not None:
        return Saving(*key, None, None, None, evidence, reason)
    draws = sorted({int(str(row[4])) for row in rows})
    deltas = [_delta([row for row in rows if row[4] == draw]) for draw in draws]
    if any(d is None for d in deltas):
        return Saving(*key, None, None, None, evidence, "nothing of it was spent at base")
    known = [d for d in deltas if d is not None]
    return Saving(*key, known[0], min(known), max(known), evidence, None)


def _delta(rows: list[tuple[object, ...]]) -> float | None:
    base, optimized = (sum(float(str(row[i])) for row in rows) for i in (7, 8))
    return 1 - optimized / base if base > 0 else None
