"""``deltastack record`` and ``deltastack replay``: measurements that travel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from rich.table import Table

    from deltastack.recording import Outcome, Recording
    from deltastack.recording.predictions import Beside

AsJson = Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")]


def record(
    out: Annotated[Path, typer.Argument(help="The bundle to write, such as mine.zip.")],
    bench: Annotated[str, typer.Option(help="The measured bench: engine or testbed.")] = "engine",
    as_json: AsJson = False,
) -> None:
    """Write the raw runs of a measured bench with host, params, versions and hashes, for others to replay.

    Raises:
        UnknownNameError: No such bench.
    """
    from deltastack import home
    from deltastack.errors import UnknownNameError
    from deltastack.model import Bench
    from tasks import recorded

    if bench not in set(Bench):
        raise UnknownNameError(f"no bench '{bench}'; record: {', '.join(recorded.MEASURED)}")
    found = recorded.record(home.checkout(Path.cwd()), Bench(bench), out)
    if as_json:
        output.emit_json({"path": str(out)} | found.model_dump(mode="json"))
    else:
        typer.echo(f"{out}: {found.bench} on {found.device}, {found.recorded_at}, {len(found.parts)} parts, {found.name}")


def replay(
    bundle: Annotated[Path | None, typer.Argument(help="A bundle of `deltastack record`; none lists what is kept.")] = None,
    remove: Annotated[str | None, typer.Option(help="Forget the recording of this name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a bundle, keep it in data/recorded, and print what it says: measured elsewhere, on its host and date."""
    from deltastack import home
    from deltastack.recording import predictions
    from tasks import recorded

    root = home.checkout(Path.cwd())
    if remove is not None:
        recorded.remove(root, remove)
    kept = [recorded.replay(root, bundle)] if bundle is not None else list(recorded.kept(root))
    said = [(r, recorded.outcomes(root, r)) for r in kept]
    cells = {r.manifest.name: predictions.beside(r, root) for r in kept}
    if as_json:
        output.emit_json([_dict(r, found) | {"fleet": _fleet(cells[r.manifest.name])} for r, found in said])
        return
    if not said:
        typer.echo("no recording is kept here; `deltastack replay BUNDLE.zip` brings one in")
    for r, found in said:
        _show(r, found)
        _show_fleet(cells[r.manifest.name])
    if not any(cells.values()):
        _show_fleet(predictions.example(root))


def _dict(r: Recording, found: tuple[Outcome, ...]) -> dict[str, Any]:
    m = r.manifest
    head = {"name": m.name, "bench": str(m.bench), "host": m.host, "device": m.device, "recorded_at": m.recorded_at}
    return head | {"resources": [_resource(o) for o in found]}


def _resource(o: Outcome) -> dict[str, Any]:
    return {
        "resource": str(o.factorial.resource),
        "operating_point": str(o.factorial.operating_point),
        "blocks": int(o.factorial.amounts.shape[-1]),
        "alone": {layer: {"delta": e.value, "lo": e.low, "hi": e.high} for layer, e in o.alone.items()},
        "formulas": {
            str(f): {
                "delta": t.saving and t.saving.value,
                "gap": t.gap and t.gap.value,
                "gap_lo": t.gap and t.gap.low,
                "gap_hi": t.gap and t.gap.high,
                "verdict": t.verdict and str(t.verdict),
                "reason": t.reason,
            }
            for f, t in o.totals.items()
        },
        "worst_gap": {str(e.formula): e.worst_gap.value for e in o.errors},
    }


def _show(r: Recording, found: tuple[Outcome, ...]) -> None:

    m = r.manifest
    output.console(soft_wrap=True).print(f"{m.name}: measured on {m.device}, {m.recorded_at[:10]} ({m.host})")
    output.console().print(_table(found))


def _fleet(cells: tuple[Beside, ...]) -> list[dict[str, Any]]:
    """What the fleet says of each cell, beside what was measured."""
    return [
        {
            "cell": b.cell,
            "predicted": b.predicted,
            **dict(zip(("measured", "measured_lo", "measured_hi"), (b.measured or (None, None, None))[:3], strict=True)),
            "error": b.error,
            "source": b.source,
        }
        for b in cells
    ]


def _show_fleet(cells: tuple[Beside, ...]) -> None:
    from rich.table import Table

    from deltastack import formatting

    if not cells:
        return
    table = Table("cell", "saving of time, fleet", "measured", "error", box=None, pad_edge=False)
    for b in cells:
        there = "not measured" if b.measured is None else formatting.interval(b.measured)
        table.add_row(b.cell, formatting.percent(b.predicted), there, formatting.points(b.error))
    output.console(soft_wrap=True).print(f"the fleet's word on one replica, beside: {cells[0].source.split(': not this')[0]}")
    output.console().print(table)


def _table(found: tuple[Outcome, ...]) -> Table:
    from rich.table import Table

    from deltastack import formatting
    from deltastack.outcomes import Formula

    table = Table("resource", "together", "product", "gap", "product rule", "by mechanism", box=None, pad_edge=False)
    for o in found:
        joint, product, shared = (o.totals[f] for f in (Formula.JOINT, Formula.INDEPENDENT, Formula.BY_MECHANISM))
        table.add_row(
            formatting.resource(o.factorial.bench, o.factorial.resource),
            formatting.interval(joint.saving),
            formatting.percent(product.saving and product.saving.value),
            formatting.points(product.gap and product.gap.value),
            str(product.verdict),
            formatting.percent(shared.saving and shared.saving.value),
        )
    return table
