"""``deltastack plan``: what the factorials will cost and what they can tell, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltastack.cli import output
from deltastack.cli.mechanisms import parsed

if TYPE_CHECKING:
    from deltastack.decisions.cell_plan import CellPlan
    from deltastack.decisions.plan import Forecast


def plan(
    file: Annotated[
        Path | None, typer.Argument(help="Runs of your own so far (as for deltastack factorial): names the cells still needed.")
    ] = None,
    cells: Annotated[
        str | None,
        typer.Option(help="all or half of the sets of layers on the fleet (default: params/stack.yaml); the testbed runs all."),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layer", help="A layer of your own server. Repeat: prints the cells to run as a CSV to fill in."),
    ] = None,
    mechanism: Annotated[
        list[str] | None,
        typer.Option(help="NAME=A,B: a mechanism that layers share; it is run alone before any pair. Repeat."),
    ] = None,
    error: Annotated[float, typer.Option(help="The gap that is wanted: 0.02 is 2 points.")] = 0.02,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Print cells, minutes and the least Δ that each factorial can show; or the fewest cells of your own layers."""
    from deltastack.errors import ParamsError

    shared = parsed(mechanism or ())
    if file is not None:
        _needed(file, shared, error, as_json=as_json)
        return
    if layers:
        _first(tuple(layers), shared, error, as_json=as_json)
        return
    if shared:
        raise ParamsError("--mechanism needs the layers: add --layer NAME for each, or give the table of runs so far")
    from dataclasses import asdict

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


def _first(layers: tuple[str, ...], shared: dict[str, tuple[str, ...]], error: float, *, as_json: bool) -> None:
    """Before anything is run: with shared mechanisms these first, else the pairwise plan."""
    if not shared:
        _pairwise(layers, as_json=as_json)
        return
    from deltastack.decisions.cell_plan import cell_plan

    found = cell_plan(layers, shared, wanted=error)
    if as_json:
        output.emit_json(_plain(found))
        return
    typer.echo(found.csv())
    output.say("\n".join([*found.counted_again, found.words]))


def _needed(file: Path, shared: dict[str, tuple[str, ...]], error: float, *, as_json: bool) -> None:
    """What the runs of a table still need, one setting each."""
    from deltastack.decisions.cell_plan import Known, cell_plan
    from deltastack.own_runs import runs_of

    told = []
    for found in runs_of(file, shared):
        named = {found.cell_layers(m): float(found.logs(m).mean()) for m in found.cells if m < 1 << len(found.layers)}
        alone = {m.name: float(y.mean()) for i, m in enumerate(found.mechanisms) if len(y := found.logs_alone(i))}
        uses = {m.name: m.of for m in found.mechanisms}
        made = cell_plan(found.layers, uses, wanted=error, known=Known(cells=named, mechanisms=alone))
        told.append((found.setting_words, made))
    if as_json:
        output.emit_json([{"setting": setting, **_plain(made)} for setting, made in told])
        return
    for setting, made in told:
        lines = [*made.counted_again, made.words, f"cells: {' '.join(made.names)}"]
        output.tell("\n".join([*([f"{setting}:"] if setting else []), *lines]))


def _plain(found: CellPlan) -> dict[str, Any]:
    return {
        "layers": list(found.layers),
        "mechanisms": list(found.mechanisms),
        "cells": list(found.names),
        "all_cells": found.all_cells,
        "wanted": found.wanted,
        "error": found.error,
        "product_error": found.product_error,
        "worst": found.worst,
        "reached": found.reached,
        "following": [sorted(p) for p in found.following],
        "counted_again": list(found.counted_again),
        "words": found.words,
    }


def _pairwise(layers: tuple[str, ...], *, as_json: bool) -> None:
    """Print the cells to run on a server of one's own: the table on stdout, words on stderr."""
    from deltastack.decisions.pairwise_plan import WHEN, pairwise_plan

    found = pairwise_plan(layers)
    if as_json:
        words = {"words": found.words, "when": WHEN}
        output.emit_json({"layers": list(layers), "cells": list(found.names), "all_cells": found.all_cells, **words})
        return
    typer.echo(found.csv())
    output.say(output.wrapped(f"{found.words}\n{WHEN}"))


def _show(f: Forecast) -> None:
    from deltastack.formatting import percent

    samples = "an unknown number of blocks" if f.samples is None else f"{f.samples} {f.bench.facts.sample}"
    minutes = "unknown minutes" if f.minutes is None else f"{f.minutes:.1f} minutes"
    output.tell(f"{f.bench}: {f.cells} cells x {samples}, {minutes}")
    least = {"a layer alone": f.alone, "averaged over contexts": f.averaged, "an interaction": f.interaction}
    told = [f"{n} {percent(v).lstrip('+')}" for n, v in least.items() if v is not None]
    if told:
        output.tell(f"  least Δ that is seen (80 % power, 5 %): {', '.join(told)}")
    for reason in f.reasons:
        output.tell(f"  {reason}")
