"""``deltastack plan``: what the factorials will cost and what they can tell, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from deltastack.decisions.plan import Forecast


def plan(
    cells: Annotated[
        str | None,
        typer.Option(help="all or half of the sets of layers on the fleet (default: params/stack.yaml); the testbed runs all."),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layer", help="A layer of your own server. Repeat: prints the pairwise plan as a CSV to fill in."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Print cells, minutes and the least Δ that each factorial can show; or the pairwise plan of your own layers."""
    if layers:
        _pairwise(tuple(layers), as_json=as_json)
        return
    from dataclasses import asdict

    from deltastack.errors import ParamsError
    from tasks import plan as known
    from tasks.stage_runner import root_from

    if cells not in {None, "all", "half"}:
        raise ParamsError(f"--cells {cells}: wanted all or half")
    found = known.forecasts(root_from(Path.cwd()), cells)
    if as_json:
        output.emit_json([asdict(f) for f in found])
        return
    for f in found:
        _show(f)


def _pairwise(layers: tuple[str, ...], *, as_json: bool) -> None:
    """Print the cells to run on a server of one's own: the table on stdout, words on stderr."""
    from deltastack.decisions.pairwise_plan import WHEN, pairwise_plan

    found = pairwise_plan(layers)
    if as_json:
        words = {"words": found.words, "when": WHEN}
        output.emit_json({"layers": list(layers), "cells": list(found.names), "all_cells": found.all_cells, **words})
        return
    typer.echo(found.csv())
    output.say(f"{found.words}\n{WHEN}")


def _show(f: Forecast) -> None:
    from deltastack.formatting import percent

    samples = "an unknown number of blocks" if f.samples is None else f"{f.samples} {f.bench.facts.sample}"
    minutes = "unknown minutes" if f.minutes is None else f"{f.minutes:.1f} minutes"
    typer.echo(f"{f.bench}: {f.cells} cells x {samples}, {minutes}")
    least = {"a layer alone": f.alone, "averaged over contexts": f.averaged, "an interaction": f.interaction}
    told = [f"{n} {percent(v).lstrip('+')}" for n, v in least.items() if v is not None]
    if told:
        typer.echo(f"  least Δ that is seen (80 % power, 5 %): {', '.join(told)}")
    for reason in f.reasons:
        typer.echo(f"  {reason}")
