"""The table of totals in words, from metrics.json: joint saving and the formulas' gaps, one row a bench, basis and resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deltastack.model import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORMULAS = ("independent", "by_mechanism", "weighted", "by_component", "pairwise")
_PLACES = sorted(((i, b, *p) for b in Bench for i, p in enumerate(b.facts.points)), key=lambda found: found[0])
BASES = {(f"{b}_{point}" if i else str(b)): f"{b}, {words}" for i, b, point, words in _PLACES}
"""The bench and basis behind a name in metrics.json, in the order in which they are read: headlines first."""
RESOURCES = ("energy_j", "cpu_s", "cost_usd", "time_s")
"""The resources that are read first."""
BEYOND = "–"
"""Where many times the base is spent, points of the base say nothing."""


def table(tree: Mapping[str, Any]) -> list[list[str]]:
    """The head, then a row each; empty if there is no total.

    >>> table({"delta_total": {"fleet": {"energy_j": {"joint": 0.5}}}, "gap": {"fleet": {"energy_j": {"independent": 0.02}}}})
    [['bench', 'resource', 'joint saving', 'gap of independent in points'], ['fleet, at capacity', 'energy', '50.0 %', '+2.0']]
    """
    from deltastack.evaluation.delta_summary import far

    gaps = tree.get("gap", {})
    there = {name for resources in gaps.values() for found in resources.values() for name in found}
    formulas = [f for f in FORMULAS if f in there]
    head = ["bench", "resource", "joint saving", *(f"gap of {f.replace('_', ' ')} in points" for f in formulas)]
    totals = tree.get("delta_total", {})
    rows = []
    for bench in sorted(totals, key=lambda b: [*BASES, b].index(b)):
        for resource in sorted(totals[bench], key=lambda r: [*RESOURCES, r].index(r)):
            found = totals[bench][resource]
            gap = gaps.get(bench, {}).get(resource, {})
            gaps_told = [BEYOND if far(found.get("joint")) else _reading(gap, f, _points) for f in formulas]
            cells = [_reading(found, "joint", _saving), *gaps_told]
            rows.append([BASES.get(bench, bench), _resource(bench, resource), *cells])
    return [head, *rows] if rows else []


def narrow(rows: list[list[str]]) -> list[list[str]]:
    """The same table for half a page: basis and resource in one cell, the interval of the joint saving in its own.

    >>> narrow([["bench", "resource", "joint saving", "gap"], ["fleet, at capacity", "energy", "5.0 % [1.0 %, 9.0 %]", "+1.0"]])
    [['total', 'joint saving', 'interval', 'gap'], ['capacity: energy', '5.0 %', '1.0 %, 9.0 %', '+1.0']]
    """
    found = [["total", "joint saving", "interval", *head[3:]] for head in rows[:1]]
    for bench, resource, joint, *gaps in rows[1:]:
        saving, _, interval = joint.partition(" [")
        found.append([f"{bench.rpartition(' ')[2]}: {resource}", saving, interval.removesuffix("]"), *gaps])
    return found


def _resource(bench: str, name: str) -> str:
    """The resource in the report's words; a name that is none of ours stays."""
    from deltastack import formatting
    from deltastack.model import Resource

    known = name in {str(r) for r in Resource}
    place = next((b for b in Bench if bench.startswith(b)), Bench.FLEET)
    return formatting.resource(place, Resource(name)) if known else name


def _reading(found: Mapping[str, float], name: str, say: Callable[[float], str]) -> str:
    """A number in the words of ``say``, with its interval if it has one."""
    if name not in found:
        return "not known"
    ends = (found.get(f"{name}.lo"), found.get(f"{name}.hi"))
    interval = f" [{say(ends[0])}, {say(ends[1])}]" if ends[0] is not None and ends[1] is not None else ""
    return f"{say(found[name])}{interval}"


def _saving(value: float) -> str:
    """A saving; where many times as much is used, a percentage says less than the factor.

    >>> _saving(0.125), _saving(-0.5), _saving(-1241.5), _saving(-1e-9)
    ('12.5 %', '-50.0 %', '1,242.5x used', '0.0 %')
    """
    from deltastack.evaluation.delta_summary import far

    return f"{1 - value:,.1f}x used" if far(value) else f"{round(100 * value, 1) + 0:.1f} %"


def _points(value: float) -> str:
    """A gap in percentage points, signed.

    >>> _points(0.0808), _points(-0.02), _points(-1e-9), _points(492.289)
    ('+8.1', '-2.0', '0.0', '+49,228.9')
    """
    return f"{100 * value:+,.1f}" if round(100 * value, 1) else "0.0"
