"""``deltastack measure``: cells against the base on the testbed, with intervals, the A/A floor and what could be resolved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from deltastack.cli import output


def measure(
    cells: Annotated[
        str,
        typer.Option(help="Cells, `base` first; `base,base` is the base with itself. LAYER, LAYER+LAYER or LAYER/TECHNIQUE."),
    ] = "base,base",
    budget: Annotated[float, typer.Option(help="Seconds to spend on runs.", min=1.0)] = 60.0,
    starts: Annotated[int, typer.Option(help="Process starts that the runs are spread over.", min=1)] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Run cells in randomised blocks on the real model here, and say which differences can be told from noise."""
    from tasks import adhoc_measurement, stage_runner

    root = stage_runner.root_from(Path.cwd())
    names = [c.strip() for c in cells.split(",") if c.strip()]
    session = adhoc_measurement.measure(root, names, budget_s=budget, starts=starts, say=output.say)
    found = adhoc_measurement.findings(session)
    if as_json:
        output.emit_json(found)
    else:
        show(found)


def show(found: dict[str, Any]) -> None:
    """Print findings for a person."""
    typer.echo(f"{found['runs']} runs on {found['host']}")
    typer.echo(f"ended because {found['stopped']}; {found['neighbours']}")
    for row in found["cells"]:
        typer.echo(_line(row))
    show_floor(found)
    _show_exact(found)
    _show_components(found)


def show_floor(found: dict[str, Any]) -> None:
    """Print the A/A floor of each quantity, and what it takes to resolve less."""
    for quantity, floor in found["floor"].items():
        span = f"Δ {floor['delta']:+.2%} [{floor['lo']:+.2%}, {floor['hi']:+.2%}] from {_units(floor)}"
        typer.echo(f"A/A floor of {quantity}: {span}; minimum detectable Δ {floor['minimum_detectable']:.2%}")
        needs = "; ".join(f"{n['delta']:.0%}: {n['pairs']} pairs, {n['minutes']:.1f} min" for n in found["needs"][quantity])
        typer.echo(f"  to resolve {needs}")


def _units(floor: dict[str, Any]) -> str:
    if floor["pairs_a_unit"] == 1:
        return f"{floor['pairs']} pairs"
    return f"{floor['pairs']} process starts, which differ by more than their pairs do"


def _line(row: dict[str, Any]) -> str:
    name = f"{row['cell']:<28} {row['quantity']:<13}"
    if row["delta"] is None:
        return f"{name} not read: {row['words']}"
    span = f"Δ {row['delta']:+.2%} [{row['lo']:+.2%}, {row['hi']:+.2%}]"
    return f"{name} {span}  {row['words']} ({row['pairs']} pairs, {row['starts']} starts)"


def _show_components(found: dict[str, Any]) -> None:
    share, drift = found["component_share"], found["drift_per_run"]
    parts = {c: v["time_s"] for c, v in found["components"].items() if v.get("time_s")}
    whole = sum(parts.values())
    typer.echo("base session: " + ", ".join(f"{c} {t:.3f} s ({t / whole:.0%})" for c, t in parts.items()))
    typer.echo(
        f"components add up to {share['least']:.2%} .. {share['most']:.2%} of each session's total; "
        f"meter overhead {found['meter_overhead_s'] * 1e6:.0f} us a window"
    )
    outliers = ", ".join(f"{n} {kind}" for kind, n in found["outliers"].items())
    moved = "too few runs to tell drift" if drift is None else f"drift {drift['change']:+.3%} a run ({_drifts(drift)})"
    typer.echo(f"outliers kept: {outliers}; {moved}")


def _show_exact(found: dict[str, Any]) -> None:
    base = found["exact"]["base"]
    for cell, work in found["exact"].items():
        less = "" if cell == "base" else f", Δ {1 - work['operations'] / base['operations']:+.2%} exactly"
        packed, touched = work["packed_operations"] / 1e9, work["weights_touched"] / 1e6
        counted = f"{work['operations'] / 1e9:.3f} G operations{less}"
        typer.echo(f"exact work of {cell}: {counted}; {packed:.3f} G in packed layers, {touched:.2f} M weights touched")


def _drifts(drift: dict[str, Any]) -> str:
    return "found" if drift["found"] else "not resolved"
