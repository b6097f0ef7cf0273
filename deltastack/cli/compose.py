"""``deltastack compose``: savings composed by the formulas, and published cases held against them."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotation when the command is made
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from deltastack.composition import PublishedGap


def compose(
    deltas: Annotated[
        list[float] | None, typer.Option("--delta", help="A layer's saving, signed: 0.10 for 10 %. Repeat.")
    ] = None,
    weights: Annotated[
        list[float] | None, typer.Option("--weight", help="The share of the resource that the layer acts on; one a --delta.")
    ] = None,
    published: Annotated[Path | None, typer.Option(help="YAML of published cases, or a folder of them.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Compose savings: the product, the weighted sum, and how published pairs differ from the product."""
    found = _composed(deltas or [], weights or [], published)
    if as_json:
        output.emit_json(_answer(found))
    else:
        _show(found)


def _composed(deltas: list[float], weights: list[float], published: Path | None) -> dict[str, Any]:
    """The totals by formula and the cases.

    Raises:
        FormulaError: Nothing to compose, weights without their savings, or values outside a formula's domain.
        ParamsError: A file of cases that does not hold.
    """
    from deltastack.api import compose as composed
    from deltastack.errors import FormulaError

    if weights and len(weights) != len(deltas):
        raise FormulaError(f"{len(weights)} --weight for {len(deltas)} --delta: wanted one weight for each saving")
    if not deltas and published is None:
        raise FormulaError("nothing to compose: give --delta at least once, or --published FILE")
    found: dict[str, Any] = composed(deltas, weights or None).to_dict() if deltas else {}
    if published is not None:
        found["cases"] = _published(published)
    return found


def _published(path: Path) -> list[PublishedGap]:
    """The cases of a file in any of the forms of params/published, or of a folder of them.

    Raises:
        ParamsError: A file of cases that does not hold.
    """
    from deltastack import composition
    from deltastack.errors import FactorialError, ParamsError
    from deltastack.own_runs.published import read_evidence

    try:
        return [composition.published_gap(c) for c in composition.read_published(path)]
    except ParamsError as error:
        try:
            evidence = read_evidence([path])
        except (FactorialError, OSError):
            raise error from None
    return [s.as_gap() for s in (*evidence.pairs, *evidence.stacks)]


def _answer(found: dict[str, Any]) -> dict[str, Any]:
    """What ``--json`` prints: fractions only."""
    answer = dict(found)
    if "cases" in found:
        answer["cases"] = [{"id": c.id, "predicted": c.predicted, "observed": c.observed, "gap": c.gap} for c in found["cases"]]
    return answer


def _show(found: dict[str, Any]) -> None:

    console = output.console(highlight=False)
    totals = {name: value for name, value in found.items() if name != "cases"}
    if totals:
        console.print(_totals(totals))
    if "cases" in found:
        console.print(_cases(found["cases"]))
        console.print("Saving = speed-up; predicted by the product of the singles; gap in points.")


def _totals(totals: dict[str, float]) -> Table:
    table = _table("formula", "saving", "speed-up")
    for name, value in totals.items():
        table.add_row(name, _percent(value), _times(value))
    return table


def _cases(cases: Sequence[PublishedGap]) -> Table:
    table = _table("published case", "predicted", "observed", "gap")
    for c in cases:
        predicted, observed = (f"{_percent(x)} = {_times(x)}" for x in (c.predicted, c.observed))
        table.add_row(c.id, predicted, observed, f"{100 * c.gap:+.1f} points")
    return table


def _table(first: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(first, overflow="fold")
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _percent(saving: float) -> str:
    return f"{100 * saving:.1f} %"


def _times(saving: float) -> str:
    from deltastack.composition import delta_to_gain

    return f"{delta_to_gain(saving):.2f}x" if saving < 1 else "no limit"
