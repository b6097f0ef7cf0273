"""``deltastack published``: what others published of stacks, composed and held against their joint runs."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotation when the command is made
from typing import Annotated

import typer

from deltastack.cli import output


def published(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders of cases (default: params/published and the first three cases).")
    ] = None,
    tolerance: Annotated[float, typer.Option(help="The gap at which the product still holds: 0.02 is 2 points.")] = 0.02,
    short: Annotated[bool, typer.Option("--brief", help="The headline alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Compose every published stack: how often the product of the single savings is wrong, and what predicts better."""
    from deltastack import home
    from deltastack.own_runs.published import read_evidence
    from deltastack.own_runs.published_text import brief, text

    if not paths:
        root = home.home()
        paths = [root / "params/published_compositions.yaml", root / "params/published"]
    found = read_evidence(paths, tolerance=tolerance)
    if as_json:
        output.emit_json(found.to_dict())
    else:
        typer.echo(brief(found) if short else text(found))
