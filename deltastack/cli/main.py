"""``deltastack``: the commands, one module each, registered here in the order of the help page.

Modules of this package import only Typer at the top; everything heavy waits inside the command.
"""

from __future__ import annotations

import sys
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import typer

from deltastack.cli import (
    accelerator,
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
    sweep,
    tidy,
    workload,
)

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    name="deltastack",
    help="What does this stack of optimizations really save, and do the composition formulas hold?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _add(command: Callable[..., None], example: str, name: str | None = None) -> None:
    """Register a command; its help page ends with an example."""
    app.command(name, epilog=f"Example: deltastack {example}")(command)


_add(run.run, "run --scene vision_night")
_add(compose.compose, "compose --delta 0.10 --delta 0.15")
_add(published.published, "published --brief")
_add(factorial.factorial, "factorial runs.csv --metric tpot_ms")
_add(report.report, "report")
_add(fleet.simulate, "simulate --closed-loop 64 --output-tokens 200 --draws 1")
_add(fleet.capacity, "capacity --scene assistant --draws 1")
_add(sweep.sweep, "sweep --scene assistant --platform h100_sxm --platform l40s --rate 1:64:7 --out sweep.parquet")
_add(measure.measure, "measure --cells base,idle,storage --budget 60")
_add(estimate.estimate, "estimate idle --scene vision_night")
_add(plan.plan, "plan --layer fp8 --layer prefix_cache --layer speculation")
_add(solve.solve, "solve --target energy=0.333")
_add(compare.compare, "compare HEAD~1 HEAD")
_add(imports.import_, "import --layer fp8_weights --before bf16.json --after fp8.json", "import")
_add(imports.imported, "imported --remove fp8_weights")
_add(accelerator.accelerator, "accelerator --device cpu --seconds 60")
_add(record.record, "record mine.zip --bench engine")
_add(record.replay, "replay mine.zip")
_add(calibrate.calibrate, "calibrate rows.csv")
_add(run.sync, "sync")
_add(tidy.tidy, "tidy --apply")
_add(doctor.doctor, "doctor")
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
