"""``deltastack doctor``: what this machine can measure, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import output

if TYPE_CHECKING:
    from deltastack.machine import Check

REFUSED = 3


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Look at this machine: pins, disk, load, counters of energy and instructions, accelerators."""
    from deltastack import machine

    found = machine.checks(Path.cwd())
    if as_json:
        output.emit_json([c._asdict() for c in found])
    else:
        _show(found)
    raise typer.Exit(REFUSED if machine.failed(found) else 0)


def _show(found: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("", "check", "found", "remedy or consequence"):
        table.add_column(heading)
    marks = {"ok": "[green]ok[/]", "absent": "[yellow]--[/]", "fail": "[red]!![/]"}
    for name, state, words, remedy in found:
        table.add_row(marks[state], name, words, remedy)
    Console().print(table)
