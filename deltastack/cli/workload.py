"""``deltastack workload``: describe a trace, generate one."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotation when the command is made
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(help="Read, describe and generate workloads.", no_args_is_help=True)


@app.command(epilog="Example: deltastack workload describe trace.csv")
def describe(
    file: Annotated[Path, typer.Argument(help="A trace: Azure LLM 2023 or LMM 2024 CSV, Mooncake JSON lines, our Parquet.")],
    kind: Annotated[str | None, typer.Option("--format", help="Do not look at the header; read this format.")] = None,
    drop_bad: Annotated[bool, typer.Option("--drop-bad", help="Leave bad rows out and count them.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Size, span, rates, shares and quantiles of a trace."""
    from deltastack.workload import describe as domain
    from deltastack.workload.readers import read

    found = read(file, _image_rule(), kind=kind, drop_bad=drop_bad)
    facts = domain.describe(found.frame) | {"format": found.format, "dropped_rows": found.dropped}
    if as_json:
        output.emit_json(facts)
    else:
        _show(file.name, facts, domain.words(facts))


@app.command(epilog="Example: deltastack workload generate --out trace.parquet --requests 1000")
def generate(
    out: Annotated[Path, typer.Option(help="Where the Parquet goes.")],
    requests: Annotated[int | None, typer.Option(help="How many (default: params/workload.yaml).")] = None,
    duration_s: Annotated[float | None, typer.Option(help="Over how long [s].")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same bytes.")] = None,
    variant: Annotated[str | None, typer.Option(help="A variant named in params/workload.yaml.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Write a workload that reproduces the production mix of params/workload.yaml.

    Raises:
        WorkloadError: No such workload can be made, or nothing can be written at ``out``.
    """
    from deltastack.contracts import WORKLOAD
    from deltastack.errors import WorkloadError
    from deltastack.workload import describe as domain
    from deltastack.workload import settings
    from deltastack.workload.generate import generate as make

    chosen = settings.load(_root())
    g = chosen.generator
    frame: pd.DataFrame = make(
        chosen.variant_mix(g.variant if variant is None else variant),
        chosen.images,
        requests=g.requests if requests is None else requests,
        duration_s=g.duration_s if duration_s is None else duration_s,
        seed=g.seed if seed is None else seed,
    )
    try:
        WORKLOAD.write(frame, out)
    except OSError as error:
        raise WorkloadError(f"--out {out}: cannot be written ({error.strerror}); wanted the name of a Parquet file") from error
    facts = domain.describe(frame)
    if as_json:
        output.emit_json(facts | {"path": str(out)})
    else:
        _show(str(out), facts, domain.words(facts))


def _root() -> Path:
    from deltastack import home

    return home.home()


def _image_rule() -> Any:
    """The rule of the checkout around us, or the shipped one outside any."""
    from deltastack.errors import PreflightError
    from deltastack.workload import settings
    from deltastack.workload.images import ImageRule

    try:
        return settings.load(_root()).images
    except PreflightError:
        return ImageRule()


def _show(name: str, facts: dict[str, Any], sentence: str) -> None:
    from rich.table import Table

    output.console(soft_wrap=True).print(f"{name}: {sentence}")
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for q in next(iter(facts["quantiles"].values())):
        table.add_column(q, justify="right")
    for column, values in facts["quantiles"].items():
        table.add_row(column, *(f"{v:,.0f}" for v in values.values()))
    output.console().print(table)
    dispersion = facts["dispersion"]
    if dispersion is not None:
        output.console().print(f"arrivals a minute: variance / mean {dispersion:.1f} (1 for Poisson arrivals)")
    if facts.get("dropped_rows"):
        output.console().print(f"{facts['dropped_rows']} bad rows were left out")
