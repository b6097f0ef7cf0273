"""``deltastack doctor``: what this machine can measure, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from deltastack.machine import Check

REFUSED = 3
NOISE_S = 20.0
"""Of runs; starting the process and warming up take the rest of about half a minute."""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Only look; do not measure the noise floor.")] = False,
) -> None:
    """Look at this machine: pins, disk, load, counters, accelerators; and measure its noise floor in about 30 s."""
    from deltastack import machine
    from tasks.stage_runner import root_from

    root = root_from(Path.cwd())
    found = machine.checks(root)
    noise = None if quick or machine.failed(found) else _noise(root)
    if as_json:
        output.emit_json({"checks": [c._asdict() for c in found], "noise": noise})
    else:
        _show(found)
        _show_noise(noise)
    raise typer.Exit(REFUSED if machine.failed(found) else 0)


def _noise(root: Path) -> dict[str, Any] | None:
    """An A/A run of the base on the testbed; None where its packages are absent."""
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("transformers") is None:
        return None
    from tasks import adhoc_measurement

    session = adhoc_measurement.measure(root, ["base", "base"], budget_s=NOISE_S, starts=1, say=output.say)
    return adhoc_measurement.findings(session)


def _show_noise(noise: dict[str, Any] | None) -> None:
    from deltastack.cli import measure

    if noise is None:
        typer.echo("noise floor not measured (--quick, a check that failed, or no torch and transformers here)")
        return
    typer.echo(f"neighbours while measuring: {noise['neighbours']}")
    measure.show_floor(noise)
    if not noise["floor"]:
        typer.echo("too few runs for a noise floor: the machine is too busy; try again when it is quiet")


def _show(found: list[Check]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("", "check", "found", "remedy or consequence"):
        table.add_column(heading)
    marks = {"ok": "[green]ok[/]", "absent": "[yellow]--[/]", "fail": "[red]!![/]"}
    for name, state, words, remedy in found:
        table.add_row(marks[state], name, escape(words), escape(remedy))
    Console().print(table)
