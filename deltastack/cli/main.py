"""``deltastack``: the commands, one module each, registered here in the order of the help page.

Modules of this package import only Typer at the top; everything heavy waits inside the command.
"""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated

import typer

from deltastack.cli import (
    calibrate,
    claims,
    compare,
    compose,
    doctor,
    engine,
    estimate,
    factorial,
    fleet,
    imports,
    measure,
    output,
    plan,
    published,
    record,
    report,
    run,
    solve,
    workload,
)

app = typer.Typer(
    name="deltastack",
    help="What does this stack of optimizations really save, and do the composition formulas hold?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.command()(run.run)
app.command()(compose.compose)
app.command()(published.published)
app.command()(factorial.factorial)
app.command()(report.report)
app.command()(fleet.simulate)
app.command()(fleet.capacity)
app.command()(measure.measure)
app.command()(estimate.estimate)
app.command()(plan.plan)
app.command()(solve.solve)
app.command()(compare.compare)
app.command("import")(imports.import_)
app.command()(record.record)
app.command()(record.replay)
app.command()(calibrate.calibrate)
app.command()(run.sync)
app.command()(doctor.doctor)
app.add_typer(claims.app, name="claims")
app.add_typer(engine.app, name="engine")
app.add_typer(workload.app, name="workload")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"deltastack {metadata.version('deltastack')}")
        raise typer.Exit


@app.callback()
def root(
    *, version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False
) -> None:
    """Measure, estimate, compose, and hold the formulas against the joint truth."""


def main() -> None:
    """Run the command line; every expected failure becomes one line and an exit code."""
    sys.exit(output.exit_code_of(app))


if __name__ == "__main__":
    main()
