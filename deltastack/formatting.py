"""Numbers as text: percentages, intervals, percentage points, speed-ups; names of resources and operating points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from deltastack.evaluation.delta_summary import far
from deltastack.model import Bench, OperatingPoint, Resource
from deltastack.outcomes import Verdict

if TYPE_CHECKING:
    from deltastack.statistics import Estimate
    from deltastack.statistics.aa_noise import Floor

_RESOURCE = {
    Resource.ENERGY_J: "energy",
    Resource.MEMORY_BYTE_S: "memory over time",
    Resource.IO_BYTE: "bytes read and written",
    Resource.COST_USD: "cost",
    Resource.CARBON_G: "carbon",
    Resource.CPU_S: "CPU time",
    Resource.INSTRUCTIONS: "instructions",
}
OPERATING_POINT = {
    OperatingPoint.AT_TRACE: "per request, at today's load on a fixed fleet",
    OperatingPoint.AT_CAPACITY: "per request, at full load (the goodput)",
    OperatingPoint.PER_SESSION: "per session on this machine",
}
LEAST_FACTOR = 0.05
"""Savings and losses under this share are told without a factor, which would read 1.00x or nearly so."""


def resource(bench: Bench, name: Resource) -> str:
    """A resource in words; whose time it is depends on the bench.

    >>> resource(Bench.TESTBED, Resource.TIME_S), resource(Bench.FLEET, Resource.TIME_S)
    ('wall time', 'accelerator time')
    """
    return Bench(bench).facts.time if name == Resource.TIME_S else _RESOURCE[name]


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

    >>> from deltastack.statistics import Estimate
    >>> interval(Estimate(0.1, 0.05, 0.15)), interval(Estimate(0.1, None, None))
    ('+10.0 % [+5.0 %, +15.0 %]', '+10.0 % (no interval)')
    >>> interval(Estimate(0.1, 0.05, 0.15, draws=20))
    '+10.0 % (range of 20 draws: +5.0 % to +15.0 %)'
    """
    if e is None:
        return percent(None)
    if e.low is None:
        return f"{percent(e.value, digits)} (no interval)"
    return f"{percent(e.value, digits)} {between(percent(e.low, digits), percent(e.high, digits), e.draws)}"


def between(low: str, high: str, draws: int | None = None) -> str:
    """Two ends in words: brackets are of an interval of confidence alone.

    >>> between("1.0", "2.0"), between("1.0", "2.0", 20)
    ('[1.0, 2.0]', '(range of 20 draws: 1.0 to 2.0)')
    """
    return f"[{low}, {high}]" if draws is None else f"(range of {draws} draws: {low} to {high})"


def short_ends(pair: tuple[Any, Any], draws: int | None) -> str:
    """``ends`` for a narrow table: brackets are of an interval of confidence, parentheses of a range of draws.

    >>> short_ends((0.05, 0.15), None), short_ends((0.05, 0.15), 20)
    ('[+5.0, +15.0]', '(+5.0 to +15.0)')
    """
    return ends(pair, draws=draws).replace(f"(range of {draws} draws: ", "(")


def ends(pair: tuple[Any, Any], digits: int = 1, draws: int | None = None) -> str:
    """Both ends of an interval, or of the range of so many draws, in percent; "no interval" where there is none.

    >>> ends((0.05, 0.15)), ends((0.05, 0.15), draws=20), ends((None, None))
    ('[+5.0, +15.0]', '(range of 20 draws: +5.0 to +15.0)', 'no interval')
    """
    if any(pd.isna(x) for x in pair):
        return "no interval"
    low, high = (percent(x, digits).removesuffix(" %") for x in pair)
    return between(low, high, draws)


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


def place(bench: object, operating_point: object) -> str:
    """A bench and operating point in a row or title: ``fleet, at capacity``.

    >>> place("fleet", "at_capacity")
    'fleet, at capacity'
    """
    return f"{bench}, {operating_point}".replace("_", " ")


def points(value: Any) -> str:
    """A difference in percentage points; an absent one is a dash.

    >>> points(0.021), points(-1e-9)
    ('+2.1 points', '+0.0 points')
    """
    return "–" if pd.isna(value) else f"{round(100 * float(value), 1) + 0:+.1f} points"


def verdict(word: object, held_in: int | None, draws: int | None) -> str:
    """A verdict; on a model also in how many draws of its parameters the formula holds.

    >>> verdict("holds", 19, 20), verdict("undecided", 12, 20), verdict("fails", 1, 20), verdict("undecided", None, None)
    ('holds in 19 of 20 draws', 'holds in 12 of 20 draws', 'fails: holds in 1 of 20 draws', 'undecided')
    """
    if held_in is None:
        return str(word or "–")
    return f"{'fails: ' if word == Verdict.FAILS else ''}holds in {held_in} of {draws} draws"


def change(delta: Any, digits: int = 1) -> str:
    """A saving as a percentage, or where it is beyond ten times the base as the factor that it is.

    >>> change(-0.5), change(-11.0), change(None)
    ('-50.0 %', '12 times as much', '–')
    """
    return f"{1 - delta:,.0f} times as much" if far(delta) else percent(delta, digits)


def floor_note(floor: Floor | None) -> str:
    """The A/A noise floor of a measured number; empty where none was run.

    >>> floor_note(None)
    ''
    """
    return "" if floor is None else f"A/A noise floor ±{percent(floor.largest).lstrip('+')}"
