"""Numbers as words: savings with their speed-ups, intervals, bases, verdict sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from deltastack.analysis.noise_floor import largest
from deltastack.evaluation.delta_summary import far
from deltastack.model import OperatingPoint, Resource
from deltastack.statistics import aa_noise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.formula_totals import Estimate
    from deltastack.analysis.results import Results
    from deltastack.model import Bench
    from deltastack.statistics.aa_noise import Floor

RESOURCE = {
    Resource.TIME_S: "accelerator time",
    Resource.ENERGY_J: "energy",
    Resource.MEMORY_BYTE_S: "memory over time",
    Resource.IO_BYTE: "bytes read and written",
    Resource.COST_USD: "money",
    Resource.CARBON_G: "carbon",
    Resource.CPU_S: "processor time",
    Resource.INSTRUCTIONS: "instructions",
}
BASIS = {
    OperatingPoint.AT_TRACE: "per request, at the trace's own rate on a fixed fleet",
    OperatingPoint.AT_CAPACITY: "per request, at the largest rate that meets the latency goals",
    OperatingPoint.PER_SESSION: "per session on this machine",
}
LEAST_FACTOR = 0.05
"""Savings and losses under this share are told without a factor, which would read 1.00x or nearly so."""
HEADLINE_RESOURCES = (Resource.ENERGY_J, Resource.CPU_S, Resource.TIME_S, Resource.COST_USD)


def resource(bench: Bench, name: Resource) -> str:
    """A resource in words: time is an accelerator's on the fleet, and passes on the wall on the testbed.

    >>> resource("testbed", Resource.TIME_S), resource("fleet", Resource.TIME_S)
    ('wall time', 'accelerator time')
    """
    return "wall time" if (bench, name) == ("testbed", Resource.TIME_S) else RESOURCE[name]


def percent(value: Any, digits: int = 1) -> str:
    """A signed percentage; an absent number is a dash.

    >>> percent(0.125), percent(-0.5), percent(None), percent(-1e-9)
    ('+12.5 %', '-50.0 %', '–', '0.0 %')
    """
    if pd.isna(value):
        return "–"
    rounded = round(100 * float(value), digits)
    return f"{rounded:+.{digits}f} %" if rounded else f"{0:.{digits}f} %"


def interval(e: Estimate | None, digits: int = 1) -> str:
    """A saving with its interval; a dash where the cells that it needs were not run.

    >>> from deltastack.analysis.formula_totals import Estimate
    >>> interval(Estimate(0.1, 0.05, 0.15)), interval(Estimate(0.1, None, None))
    ('+10.0 % [+5.0 %, +15.0 %]', '+10.0 % (no interval)')
    """
    if e is None:
        return percent(None)
    ends = f"[{percent(e.low, digits)}, {percent(e.high, digits)}]" if e.low is not None else "(no interval)"
    return f"{percent(e.value, digits)} {ends}"


def ends(pair: tuple[Any, Any], digits: int = 1) -> str:
    """Both ends of an interval, in percent; "no interval" where there is none.

    >>> ends((0.05, 0.15)), ends((None, None))
    ('[+5.0, +15.0]', 'no interval')
    """
    if any(pd.isna(x) for x in pair):
        return "no interval"
    return f"[{', '.join(percent(x, digits).removesuffix(' %') for x in pair)}]"


def speed_up(delta: float) -> str:
    """The ratio that a saving amounts to: 50 % saved is 2.00x.

    >>> speed_up(0.5), speed_up(-0.25)
    ('2.00x', '0.80x')
    """
    return f"{1 / (1 - delta):.2f}x" if delta < 1 else "all of it"


def factor(delta: float) -> str:
    """The speed-up in brackets behind a saving, from 5 % of either sign up: below that a percentage says it better.

    >>> factor(0.5), factor(-0.0501), factor(0.05), factor(0.0499), factor(-0.002)
    (' (2.00x)', ' (0.95x)', ' (1.05x)', '', '')
    """
    return f" ({speed_up(delta)})" if abs(delta) >= LEAST_FACTOR else ""


def headline_resource(results: Results, bench: Bench, operating_point: OperatingPoint) -> Resource | None:
    """The resource that speaks for a bench: energy where there is any, else processor or accelerator time."""
    present = {f.resource for f in results.found if f.bench is bench and f.operating_point is operating_point}
    return next((r for r in HEADLINE_RESOURCES if r in present), None)


def spoken(results: Results) -> list[Factorial]:
    """The factorials that sentences and tables speak of: the headline resource of every bench, its headline basis first."""
    found = []
    for bench in results.benches():
        for operating_point in sorted(OperatingPoint, key=lambda b: b is not headline_basis(bench)):
            resource = headline_resource(results, bench, operating_point)
            f = results.of(bench, operating_point, resource) if resource else None
            found += [f] if f else []
    return found


def headline_basis(bench: Bench) -> OperatingPoint:
    """The basis that speaks for a bench."""
    from deltastack.analysis.results import HEADLINE

    return HEADLINE[bench]


def rows_of(results: Results, f: Factorial) -> list[dict[str, Any]]:
    """The rows of TOTAL that belong to one factorial."""
    if results.total is None or results.total.empty:
        return []
    t = results.total
    mine = t[(t["bench"] == f.bench) & (t["operating_point"] == f.operating_point) & (t["resource"] == f.resource)]
    return [{str(k): v for k, v in row.items()} for row in mine.to_dict("records")]


def points(value: Any) -> str:
    """A gap in percentage points; an absent one is a dash.

    >>> points(0.021), points(-1e-9)
    ('+2.1 points', '+0.0 points')
    """
    return "–" if pd.isna(value) else f"{round(100 * float(value), 1) + 0:+.1f} points"


def text_only_note(results: Results) -> str | None:
    """What a workload without images means for the encoder."""
    if results.workload.get("text_only_share") == 1:
        return (
            "No request of this trace carries an image: the encoder had nothing to do, "
            "so a layer that acts on the encoder can save nothing here but its idle resources."
        )
    return None


def off(techniques: Iterable[Sequence[Any]]) -> str:
    """What techniques that are off would do alone, from a name, its Δ and the ends of its interval, where it has one.

    >>> off([("a", -0.5, -0.6, -0.4), ("b", 0.021), ("c", -11.0, -12.0, -9.0)])
    'a would lose 50.0 % [-60.0, -40.0], b would save 2.1 %, c would spend 12 times as much'
    """
    return ", ".join(f"{name} would {_would(*delta)}" for name, *delta in techniques)


def _would(delta: float, low: float | None = None, high: float | None = None) -> str:
    if far(delta):
        return f"spend {change(delta)}"
    told = "" if low is None or high is None else f" {ends((low, high))}"
    return f"{'lose' if delta < 0 else 'save'} {percent(abs(delta)).lstrip('+')}{told}"


def change(delta: Any, digits: int = 1) -> str:
    """A saving as a percentage, or where it is beyond ten times the base as the factor that it is.

    >>> change(-0.5), change(-11.0), change(None)
    ('-50.0 %', '12 times as much', '–')
    """
    return f"{1 - delta:,.0f} times as much" if far(delta) else percent(delta, digits)


def resolved(delta: float, low: float | None, high: float | None, floor: Floor | None = None) -> str:
    """What a saving with its interval may be called: an interval that holds 0 is neither a saving nor a loss.

    Nor is a Δ that lies inside what two equal cells seem to differ by: with their ``floor`` the word is the testbed's own.

    >>> resolved(0.1, 0.05, 0.2), resolved(-0.1, -0.2, 0.1), resolved(-0.1, -0.2, -0.05), resolved(1e-6, None, None)
    ('saves', 'not resolved', 'loses', 'changes nothing')
    """
    if not round(delta, 4):
        return "changes nothing"
    if low is not None and high is not None:
        if floor is not None:
            return str(aa_noise.resolve(delta, low, high, floor))
        if low <= 0 <= high:
            return "not resolved"
    return "loses" if delta < 0 else "saves"


def floor_note(floor: Floor | None) -> str:
    """The A/A floor beside a measured number; empty where none was run.

    >>> floor_note(None)
    ''
    """
    return "" if floor is None else f"A/A floor ±{percent(largest(floor)).lstrip('+')}"
