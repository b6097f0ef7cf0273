"""``deltastack import``: bring your own measurement."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deltastack.cli import output


def import_(
    layer: Annotated[str, typer.Option(help="What to call the layer, such as fp8_weights.")],
    before: Annotated[list[Path], typer.Option(help="A result without the change. Repeat for every repeat.")],
    after: Annotated[list[Path], typer.Option(help="A result with the change. Repeat for every repeat.")],
    paired: Annotated[bool, typer.Option("--paired", help="The n-th before and the n-th after ran side by side.")] = False,
    point: Annotated[int | None, typer.Option(help="Which load point of a sweep, from 0.")] = None,
    differs: Annotated[
        list[str] | None, typer.Option("--differs", help="A condition in which the runs may differ, such as model. Repeat.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Read results of vLLM, SGLang, GuideLLM, AIPerf, InferenceX, ML.ENERGY or llm-d as a layer that was measured elsewhere."""
    from deltastack import importers, params
    from deltastack.stack import Stack
    from tasks import imported
    from tasks.stage_runner import root_from

    root = root_from(Path.cwd())
    confidence = params.load(root / "params/stack.yaml", Stack).confidence
    path = imported.write(root, layer, before, after, paired=paired, point=point, differs=differs or ())
    found = [s for s in imported.savings(root, confidence) if s.layer == layer]
    if as_json:
        rows = [s._asdict() | {"delta": s.delta.value, "lo": s.delta.low, "hi": s.delta.high, "warning": s.loud} for s in found]
        output.emit_json({"path": str(path.relative_to(root)), "savings": rows})
        return
    for s in found:
        typer.echo(importers.row_words(s))
    absent = [q for q in importers.QUANTITIES if q not in {s.quantity for s in found}]
    if absent:
        typer.echo(f"no reading on both sides, so not compared: {', '.join(absent)}")
    typer.echo(f"conditions: {found[0].conditions}")
    typer.echo(f"kept in {path.relative_to(root)}; `deltastack report` shows it now, and every later `deltastack run`")


def imported(
    remove: Annotated[str | None, typer.Option(help="Take this layer out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """List the layers that `deltastack import` brought, or take one out.

    Raises:
        UnknownNameError: No such layer.
    """
    from deltastack import importers, params
    from deltastack.stack import Stack
    from tasks import imported as tables
    from tasks.stage_runner import root_from

    root = root_from(Path.cwd())
    if remove is not None:
        gone = str(tables.remove(root, remove).relative_to(root))
        if as_json:
            output.emit_json({"removed": gone})
        else:
            typer.echo(f"{gone} is gone; `deltastack report` leaves it out now, and every later `deltastack run`")
        return
    found = tables.savings(root, params.load(root / "params/stack.yaml", Stack).confidence)
    if as_json:
        output.emit_json([s._asdict() | {"delta": s.delta.value, "lo": s.delta.low, "hi": s.delta.high} for s in found])
        return
    for s in found:
        typer.echo(importers.row_words(s))
    if not found:
        typer.echo("no layer was imported; `deltastack import --help` says how")
