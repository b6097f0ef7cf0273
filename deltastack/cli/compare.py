"""``deltastack compare``: two sets of results side by side, with noise taken into account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from deltastack.decisions.compare import Change, Comparison

REGRESSION = 1
ONCE_HELD = "holds"


def compare(
    before: Annotated[str, typer.Argument(help="An MLflow run id, a git revision, or a folder with params/ and data/.")],
    after: Annotated[str, typer.Argument(help="The same; default: this checkout.")] = ".",
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Markdown, fit for a pull request.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Show what differs, and how the savings changed, with intervals.

    Exit: 0 no regression, 1 a saving fell beyond noise, 4 quality fell beyond noise, 5 a formula that held fails,
    6 everything is undecided.
    """
    import tempfile

    from deltastack.decisions import compare as domain
    from flows import result_sets
    from tasks.stage_runner import root_from

    root = root_from(Path.cwd())
    with tempfile.TemporaryDirectory(prefix="deltastack-") as scratch:
        both = [result_sets.side(root, name, Path(scratch)) for name in (before, after)]
    found = domain.compare(*both)
    if as_json:
        output.emit_json(_plain(found))
    elif as_markdown:
        typer.echo(domain.markdown(found), nl=False)
    else:
        _show(found)
    raise typer.Exit(code(found))


def code(c: Comparison) -> int:
    """The exit code of a comparison."""
    if any(q.word == "worse" for q in c.quality):
        return output.QUALITY_LIMIT
    if c.regressions:
        return REGRESSION
    if any(t.before == ONCE_HELD and t.after == "fails" for t in c.verdict_changes):
        return output.COMPOSITION_FAILS
    return output.CANNOT_BE_TOLD if all(x.word == "undecided" for x in c.totals) else 0


def _plain(c: Comparison) -> dict[str, Any]:
    return {
        "before": c.names[0],
        "after": c.names[1],
        "params": {n: {"before": a, "after": b} for n, (a, b) in c.params.items()},
        "totals": [_row(x) for x in c.totals],
        "quality": [_row(x) for x in c.quality],
        "verdict_changes": [t._asdict() for t in c.verdict_changes],
        "one_sided": list(c.one_sided),
    }


def _row(x: Change) -> dict[str, Any]:
    ends = {"delta_of_delta": x.change.value, "lo": x.change.low, "hi": x.change.high}
    where = {"bench": x.bench, "operating_point": x.operating_point, "resource": x.resource}
    return {**where, "before": x.before.value, "after": x.after.value, **ends, "word": x.word, "reason": x.reason}


def _show(c: Comparison) -> None:
    from rich.table import Table

    from deltastack import formatting

    console = output.console(highlight=False, soft_wrap=True)
    console.print(f"{c.names[0]} -> {c.names[1]}")
    for name, (was, now) in c.params.items():
        console.print(f"  {name}: {was} -> {now}")
    if not c.params:
        console.print("  no parameter differs")
    table = Table(box=None, pad_edge=False)
    for heading in ("total", "before", "after", "change", ""):
        table.add_column(heading)
    for x in sorted(c.totals, key=lambda x: x.change.value):
        where = f"{formatting.place(x.bench, x.operating_point)}, {formatting.resource(x.bench, x.resource)}"
        note = f"{x.word} ({x.reason})" if x.reason else str(x.word)
        change = formatting.interval(x.change, 2).replace("[", r"\[")
        table.add_row(where, formatting.change(x.before.value), formatting.change(x.after.value), change, note)
    console.print(table)
    for q in c.quality:
        console.print(f"quality, {q.bench}: {formatting.interval(q.change, 2)}: {q.word}")
    for t in c.verdict_changes:
        console.print(f"{t.formula} of {t.where}: {t.before} -> {t.after}")
    for text in c.one_sided:
        console.print(text)
