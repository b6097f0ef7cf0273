"""Money, energy and carbon a year for a fleet of so many accelerators that is used up to its latency goals.

    requests a year = accelerators x seconds a year / (accelerator seconds a request, base)

The stack serves the same requests; what it saves a request it saves that often. 1 kWh = 3.6e6 J.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from deltastack.analysis.attribution import saving_of
from deltastack.analysis.formula_totals import Estimate, estimate
from deltastack.model import Bench, OperatingPoint, Resource

if TYPE_CHECKING:
    from deltastack.analysis.results import Results

YEAR_S = 365 * 24 * 3600
SHOWN = {
    Resource.COST_USD: ("money", "USD", 1.0),
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


def lines(results: Results, accelerators: int) -> list[Line]:
    """One line a resource; empty where the fleet bench did not run at capacity."""
    time = results.of(Bench.FLEET, OperatingPoint.AT_CAPACITY, Resource.TIME_S)
    if time is None:
        return []
    requests = accelerators * YEAR_S / float(time.totals[0, 0])
    found = []
    for resource, (name, unit, per) in SHOWN.items():
        f = results.of(Bench.FLEET, OperatingPoint.AT_CAPACITY, resource)
        if f is None or f.full not in f.ran:
            continue
        base = requests * float(f.totals[0, 0]) / per
        share = estimate(f, partial(saving_of, m=f.full), results.stack.confidence)
        ends = [None if x is None else base * x for x in (share.low, share.high)]
        saved = Estimate(base * share.value, *ends)
        found.append(Line(name, unit, base, saved, str(f.evidence)))
    return found
