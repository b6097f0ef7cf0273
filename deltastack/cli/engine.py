"""``deltastack engine``: what switches of a serving engine really save, alone and together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from deltastack.engine.bench import Order
    from deltastack.engine.check import Checked

app = typer.Typer(
    help="Switches of a serving engine (vLLM, SGLang, llama.cpp, your server): run, check, show.", no_args_is_help=True
)
REFUSED = 3
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_SHOWN = 100
_EXACT = ("passes", "_read_byte", "_written_byte")
"""Ends of the names of exact work, where a declaration says what it is formed from."""

Name = Annotated[str, typer.Argument(help="A YAML file, or a name in params/engines.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")]
Trace = Annotated[Path | None, typer.Option(help="Ask this trace's requests when they arrived, instead of the declared load.")]
Cells = Annotated[str | None, typer.Option(help="Only these cells beside the base: LAYER, LAYER+LAYER or LAYER/TECHNIQUE.")]


@app.command(epilog="Example: deltastack engine run llamacpp --budget 2m")
def run(
    name: Name,
    trace: Trace = None,
    budget: Annotated[
        str | None, typer.Option(help="Time to spend, such as 90s, 30m or 2h; the declaration's by default.")
    ] = None,
    cells: Cells = None,
    as_json: Json = False,
) -> None:
    """Measure every set of layers and every technique alone in one experiment; goes on where it was cut."""
    from tasks import engine as task
    from tasks import engines, results
    from tasks.stage_runner import root_from

    root = root_from(Path.cwd())
    engine = task.declared(root, name)
    frames = task.measure(root, engine, _order(root, trace, budget, cells), output.say)
    folder = root / "data" / "engine" / engine.name
    task.write(frames, folder, engine)
    found = task.findings(root, engine, frames) | {"folder": str(folder.relative_to(root))}
    engines.keep(root, engine.name, found)
    found["absent"] = results.absent(root, found["absent"])
    frames.forget()
    if as_json:
        output.emit_json(found)
    else:
        show_findings(found)


@app.command(epilog="Example: deltastack engine check llamacpp")
def check(
    name: Name,
    trace: Trace = None,
    cells: Cells = None,
    look: Annotated[bool, typer.Option("--look", help="Only look; start no server.")] = False,
    as_json: Json = False,
) -> None:
    """Start the base and every technique alone once: unknown flags, dead switches, conflicts, and the minutes of a run."""
    from deltastack.engine.check import check as checked
    from tasks import engine as task
    from tasks.stage_runner import root_from

    root = root_from(Path.cwd())
    found = checked(root, task.declared(root, name), _order(root, trace, None, cells), output.say, start=not look)
    if as_json:
        forecast = None if found.forecast is None else found.forecast._asdict()
        output.emit_json({"checks": [c._asdict() for c in found.checks], "forecast": forecast})
    else:
        _show_checks(found)
    raise typer.Exit(REFUSED if any(c.state == "fail" for c in found.checks) else 0)


@app.command(epilog="Example: deltastack engine show llamacpp --cell storage")
def show(
    name: Name,
    cell: Annotated[str, typer.Option(help="Which cell to start.")] = "base",
    match: Annotated[str | None, typer.Option(help="Only names that contain this.")] = None,
    as_json: Json = False,
) -> None:
    """Start one cell and print what the server says it resolved, by source."""
    from deltastack.engine.check import resolved
    from tasks import engine as task
    from tasks.stage_runner import root_from

    root = root_from(Path.cwd())
    found = resolved(root, task.declared(root, name), cell)
    chosen = {s: {k: v for k, v in values.items() if match is None or match in k} for s, values in found.items()}
    if as_json:
        output.emit_json(chosen)
        return
    for source, values in chosen.items():
        for key, value in sorted((k, v) for k, v in values.items() if "{" not in k):  # one line a metric, not one a label
            typer.echo(f"{source:<10} {key} = {value if key != 'text' else f'{len(value.splitlines())} lines'}"[:_SHOWN])


def show_findings(found: dict[str, Any]) -> None:
    """Print findings for a person."""
    typer.echo(f"{found['runs']} {found['unit']} of {found['engine']} on {found['host']}; ended because {found['stopped']}")
    for line in _apart(found):
        typer.echo(line)
    for cell, counts in found["counters"].items():
        typer.echo(f"  {cell:<40} {_work(counts)}")
    for row in found["cells"]:
        span = "not compared: " + str(row["why"]) if row["delta"] is None else _span(row)
        typer.echo(f"  {row['cell']:<40} {span}")
    floor = found["floor"]
    told = "no twin, so no floor" if floor is None else f"[{floor['lo']:+.1%}, {floor['hi']:+.1%}] from {floor['pairs']} units"
    typer.echo(f"A/A floor of {found['quantity']}: {told}")
    loud = found.get("machine", {}).get("loud")
    typer.echo(f"machine: {'not recorded' if loud is None else ', '.join(loud) or 'quiet'}")
    for row in found["formulas"]:
        typer.echo(_formula(row))
    for kind in ("left_out", "given_up"):
        for cell, why in found[kind].items():
            typer.echo(f"{kind.replace('_', ' ')}: {cell}: {why}")
    for layer, why in found["absent"].items():
        typer.echo(f"{layer}: {why}")
    typer.echo(f"tables: {found['folder']}")


def _apart(found: dict[str, Any]) -> list[str]:
    """What is counted first, and what a start costs apart from serving."""
    from deltastack.report.text import exact_work, starts

    here = found["engine"], found["layers"]
    exact = exact_work.lines(here[0], found.get("exact", {}), here[1])
    return [*exact, *starts.lines(here[0], found.get("loading", {}), here[1])]


def _work(counts: dict[str, float]) -> str:
    """The exact counts of one run of the load, and what shows techniques at work.

    >>> _work({"computed_tokens": 480.0, "weights_read_byte": 433563648.0, "request_s": 0.1})
    'computed tokens 480, weights read byte 433,563,648'
    """
    shown = {k: v for k, v in counts.items() if k.endswith(("_tokens", *_EXACT)) or k == "acceptance" or "." in k}
    told = {k: f"{v:,.0f}" if k.endswith(_EXACT) else f"{v:g}" for k, v in shown.items()}
    return ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in told.items()) or "the answers carry no counts"


def _span(row: dict[str, Any]) -> str:
    return f"Δ {row['delta']:+.1%} [{row['lo']:+.1%}, {row['hi']:+.1%}] ({row['pairs']} pairs)"


def _formula(row: dict[str, Any]) -> str:
    if row["delta"] is None:
        return f"{row['formula']}: not formed: {row['reason']}"
    ends = "no interval" if row["lo"] is None else f"[{row['lo']:+.1%}, {row['hi']:+.1%}]"
    gap = "" if row["gap"] is None else f"; gap {100 * row['gap']:+.1f} points"
    if row["gap_lo"] is not None:
        gap += f" [{100 * row['gap_lo']:+.1f}, {100 * row['gap_hi']:+.1f}]"
    why = f" ({row['reason']})" if row["reason"] else ""
    return f"{row['formula']:<14} Δ {row['delta']:+.1%} {ends}{gap}: {row['verdict']}{why}"


def _show_checks(found: Checked) -> None:
    marks = {"ok": "ok", "absent": "--", "fail": "!!"}
    for name, state, words, remedy in found.checks:
        typer.echo(f"{marks[state]} {name:<32} {words}{f' -> {remedy}' if remedy else ''}")
    if found.forecast is not None:
        f = found.forecast
        typer.echo(
            f"a run has {f.starts} {f.unit} for each pair of blocks of {f.cells} cells: "
            f"{f.pair_minutes:.1f} minutes at {f.run_s:.1f} s each; two pairs are the least that gives intervals"
        )


def _order(root: Path, trace: Path | None, budget: str | None, cells: str | None) -> Order:
    from deltastack.engine.bench import Order
    from tasks import engine as task

    return Order(
        budget_s=None if budget is None else _seconds(budget),
        only=() if cells is None else tuple(c.strip() for c in cells.split(",") if c.strip()),
        trace=None if trace is None else task.trace(root, trace),
    )


def _seconds(text: str) -> float:
    """A duration in words.

    >>> _seconds("30m"), _seconds("90")
    (1800.0, 90.0)

    Raises:
        ParamsError: No number, or an unknown unit.
    """
    from deltastack.errors import ParamsError

    number, unit = (text[:-1], text[-1]) if text and text[-1] in _UNITS else (text, "s")
    try:
        found = float(number) * _UNITS[unit]
    except ValueError:
        found = 0.0
    if not found > 0:
        raise ParamsError(f"--budget {text}: wanted a time such as 90s, 30m or 2h")
    return found
