"""``deltastack solve``: the fewest layers that reach a saving within limits, or what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis
    from deltastack.decisions.solve import Answer, Candidate, Goal
    from deltastack.model import Bench, OperatingPoint

IMPOSSIBLE = 3
CODES = {
    "found": 0,
    "impossible": IMPOSSIBLE,
    "only outside the quality limit": output.QUALITY_LIMIT,
    "undecided": output.CANNOT_BE_TOLD,
}
SHORT = {"time": "time_s", "energy": "energy_j", "memory": "memory_byte_s", "io": "io_byte", "cost": "cost_usd"} | {
    "carbon": "carbon_g",
    "cpu": "cpu_s",
}


def solve(
    targets: Annotated[list[str], typer.Option("--target", help="RESOURCE=SAVING, such as energy=0.333. Repeat.")],
    limits: Annotated[
        list[str] | None, typer.Option("--limit", help="The least allowed: quality=-0.01, cost=-0.05. Repeat.")
    ] = None,
    bench: Annotated[str | None, typer.Option(help="fleet or testbed (default: the first that has the resources).")] = None,
    operating_point: Annotated[
        str | None, typer.Option(help="at_capacity, at_trace or per_session (default: the headline's).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """List the cheapest layers within the limits. Exit: 0 found, 3 impossible, 4 only outside the quality limit, 6 undecided."""
    from deltastack.decisions.solve import solve as solved
    from tasks import results
    from tasks.stage_runner import root_from

    goal = _goal(targets, limits or [])
    analysis = results.load(root_from(Path.cwd()))
    answer = solved(analysis, goal, *_where(analysis, goal, bench, operating_point))
    if as_json:
        output.emit_json(_plain(answer))
    else:
        _show(answer, goal)
    raise typer.Exit(CODES[answer.outcome])


def _goal(targets: list[str], limits: list[str]) -> Goal:
    from deltastack.decisions.solve import Goal

    asked, least = _pairs("--target", targets), _pairs("--limit", limits)
    quality = least.pop("quality", None)
    return Goal(targets=_resources(asked), limits=_resources(least), quality=quality)


def _pairs(option: str, given: list[str]) -> dict[str, float]:
    """NAME=FRACTION, a percentage sign allowed.

    Raises:
        ParamsError: Not of that form.
    """
    from deltastack.errors import ParamsError

    found = {}
    for text in given:
        name, _, number = text.partition("=")
        try:
            found[name.strip()] = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
        except ValueError:
            raise ParamsError(f"{option} {text}: wanted NAME=FRACTION, such as energy=0.333 or energy=33.3%") from None
    return found


def _resources(named: dict[str, float]) -> dict[Any, float]:
    """Resources by their full or short names.

    Raises:
        UnknownNameError: There is no such resource.
    """
    from deltastack.errors import UnknownNameError
    from deltastack.model import Resource

    known = {**{str(r): r for r in Resource}, **{short: Resource(full) for short, full in SHORT.items()}}
    unknown = sorted(set(named) - set(known))
    if unknown:
        raise UnknownNameError(f"no resource '{unknown[0]}'; there are: {', '.join(known)} (and quality as a limit)")
    return {known[n]: v for n, v in named.items()}


def _where(analysis: Analysis, goal: Goal, bench: str | None, operating_point: str | None) -> tuple[Bench, OperatingPoint]:
    """The bench and basis that are asked for; by default the first bench that has every resource, at its headline basis.

    Raises:
        UnknownNameError: There is no such bench or basis.
    """
    from deltastack.analysis.analysis import HEADLINE
    from deltastack.errors import UnknownNameError
    from deltastack.model import Bench, OperatingPoint

    for value, kind in ((bench, Bench), (operating_point, OperatingPoint)):
        if value is not None and value not in list(kind):
            raise UnknownNameError(f"no {kind.__name__.lower()} '{value}'; there are: {', '.join(kind)}")
    if bench is not None:
        chosen = Bench(bench)
    else:
        wanted = {*goal.targets, *goal.limits}
        able = [b for b in analysis.benches if all(analysis.of(b, HEADLINE[b], r) for r in wanted)]
        chosen = (able or list(analysis.benches))[0]
    return chosen, HEADLINE[chosen] if operating_point is None else OperatingPoint(operating_point)


def _plain(a: Answer) -> dict[str, Any]:
    return {
        "bench": a.bench,
        "operating_point": a.operating_point,
        "outcome": a.outcome,
        "cell": _cell(a.cell) if a.cell else None,
        "also": [_cell(c) for c in a.also],
        "shortfalls": [n._asdict() for n in a.shortfalls],
    }


def _cell(c: Candidate) -> dict[str, Any]:
    savings = {r: {"delta": e.value, "lo": e.low, "hi": e.high} for r, e in c.savings.items()}
    quality = None if c.quality is None else {"change": c.quality.value, "lo": c.quality.low, "hi": c.quality.high}
    stands = {"targets": c.targets, "limits": c.limits, "quality_limit": c.admissible}
    return {"layers": list(c.layers), "savings": savings, "quality": quality, "slo_violation": c.slo_violation, **stands}


def _show(a: Answer, goal: Goal) -> None:
    from deltastack import formatting

    where = f"{a.bench} bench, {formatting.OPERATING_POINT[a.operating_point]}"
    asked = ", ".join(f"{formatting.resource(a.bench, r)} {formatting.percent(t)}" for r, t in goal.targets.items())
    output.tell(f"{asked}: {a.outcome} ({where})")
    if a.cell is not None:
        output.tell(f"  {'cheapest' if a.outcome == 'found' else 'best'}: {_line(a.bench, a.cell)}")
    for c in a.also[:5]:
        output.tell(f"  also: {_line(a.bench, c)}")
    for n in a.shortfalls:
        parts = "; ".join(f"{c} by {_cut(x)}" for c, x in list(n.by_component.items())[:3])
        output.tell(
            f"  {formatting.resource(a.bench, n.resource)} misses by {formatting.points(n.missing)}: "
            "one more layer would have to save "
            f"{formatting.percent(n.further)} of what is left; or, in one component: {parts}"
        )


def _line(bench: Bench, c: Candidate) -> str:
    from deltastack import formatting

    quality = f", quality {formatting.interval(c.quality)}" if c.quality else ", quality not measured"
    savings = ", ".join(f"{formatting.resource(bench, r)} {formatting.interval(e)}" for r, e in c.savings.items())
    late = f", but {c.slo_violation}" if c.slo_violation else ""
    return f"{' + '.join(c.layers) or 'nothing'}: {savings}{quality}{late}"


def _cut(x: float) -> str:
    return f"{100 * x:.0f} %" if x <= 1 else "more than all of it"
