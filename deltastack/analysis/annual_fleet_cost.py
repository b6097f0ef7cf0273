"""Cost, energy and carbon a year of a fleet of accelerators that runs at SLO-constrained capacity.

    requests a year = accelerators x seconds a year / (accelerator seconds a request, base)

The stack serves the same requests; what it saves a request it saves that often. 1 kWh = 3.6e6 J.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deltastack.model import Bench, OperatingPoint, Resource
from deltastack.statistics import Estimate

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis

YEAR_S = 365 * 24 * 3600
SHOWN = {
    Resource.COST_USD: ("cost", "USD", 1.0),
    Resource.ENERGY_J: ("energy", "MWh", 3.6e9),
    Resource.CARBON_G: ("carbon", "t CO2e", 1e6),
    Resource.TIME_S: ("accelerators", "accelerators", float(YEAR_S)),
}


class Line(NamedTuple):
    """One resource of the fleet: what the base spends a year, and what the whole stack saves of it, in ``unit``."""

    words: str
    unit: str
    base: float
    saved: Estimate
    evidence: str


def lines(analysis: Analysis, accelerators: int) -> list[Line]:
    """One line a resource; empty where the fleet bench did not run at capacity."""
    bench, point = Bench.FLEET, OperatingPoint.AT_CAPACITY
    time = analysis.of(bench, point, Resource.TIME_S)
    if time is None:
        return []
    requests = accelerators * YEAR_S / float(time.factorial.totals[0, 0])
    found = []
    for resource, (name, unit, per) in SHOWN.items():
        a = analysis.of(bench, point, resource)
        if a is None or a.joint is None:
            continue
        base = requests * float(a.factorial.totals[0, 0]) / per
        value, low, high = (None if x is None else base * x for x in a.joint[:3])
        found.append(Line(name, unit, base, Estimate(value or 0.0, low, high, a.joint.draws), str(a.factorial.evidence)))
    return found
