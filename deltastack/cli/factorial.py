"""``deltastack factorial``: a factorial of your own numbers, analysed at once."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotation when the command is made
from typing import Annotated

import typer

from deltastack.cli import output
from deltastack.cli.mechanisms import parsed


def factorial(
    file: Annotated[Path, typer.Argument(help="A CSV (a column 0/1 for each layer), a YAML of cases, or a folder of results.")],
    metric: Annotated[str | None, typer.Option(help="The column to analyse (default: the first known by its name).")] = None,
    higher_is_better: Annotated[
        bool | None, typer.Option("--higher-is-better/--lower-is-better", help="Of the metric (default: by its name).")
    ] = None,
    map_: Annotated[Path | None, typer.Option("--map", help="YAML: which files of the folder are which cell.")] = None,
    differs: Annotated[
        list[str] | None, typer.Option("--differs", help="A condition in which runs may differ, such as model. Repeat.")
    ] = None,
    mechanism: Annotated[
        list[str] | None,
        typer.Option(help="NAME=A,B: a column 0/1 of a mechanism run alone, and the layers that share it. Repeat."),
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Analyse a design with missing cells as it is.")] = False,
    tolerance: Annotated[float, typer.Option(help="The gap at which a formula still holds: 0.02 is 2 points.")] = 0.02,
    html: Annotated[Path | None, typer.Option(help="Write a page to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Say what each layer saves alone and all save together, and whether the savings multiply."""
    from deltastack.own_runs import analyse
    from deltastack.own_runs.page import page
    from deltastack.own_runs.text import text

    found = analyse(
        file,
        metric=metric,
        higher_is_better=higher_is_better,
        mapping=map_,
        differs=differs or (),
        partial=partial,
        mechanisms=parsed(mechanism or ()),
        tolerance=tolerance,
    )
    if html is not None:
        output.write_text(html, page(found))
    if as_json:
        output.emit_json(found.to_dict())
    else:
        typer.echo(text(found))
