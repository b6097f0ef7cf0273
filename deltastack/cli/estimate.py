"""``deltastack estimate``: one layer on the fleet bench, at once and without the graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltastack.evaluation.delta_summary import Estimate, Saving
    from deltastack.evaluation.fleet_runner import FleetRunner
    from deltastack.layers.technique import Layer

SERVED = "deployment"


def estimate(
    layer: Annotated[str, typer.Argument(help="A layer: the name of a file in params/layers.")],
    technique: Annotated[str | None, typer.Option(help="Only this one; otherwise each alone, and all that are on.")] = None,
    changed: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE of the technique, TECHNIQUE.KEY=VALUE, or deployment.KEY=VALUE. Repeat."),
    ] = None,
    scene: Annotated[str | None, typer.Option(help="A scene of params/scenes (default: the headline's).")] = None,
    variant: Annotated[
        str | None, typer.Option(help="A mix of params/workload.yaml, such as image_heavy (default: what the file chooses).")
    ] = None,
    draws: Annotated[int | None, typer.Option(min=1, help="Sets of parameters (default: params/stack.yaml).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Simulate a layer's techniques on the workload and say what each saves, losses first."""
    from deltastack import layers
    from tasks.stage_runner import root_from

    which = layers.layer(layer)
    if technique is not None:
        which.technique(technique)
    served, override = _changes(which, technique, changed or [])
    at = _workbench(root_from(Path.cwd()), scene, variant, draws, served)
    if scene is not None:
        at.check()
    found, unmeasured = _estimated(at, which, technique, override), _roofline_only(at)
    if as_json:
        output.emit_json({"scene": at.scene_name, "roofline_only": unmeasured} | _plain(found))
    else:
        if unmeasured:
            typer.echo(unmeasured)
        _show(found)


def _roofline_only(at: FleetRunner) -> str | None:
    """That nobody measured the platform, in words; None where somebody did."""
    from deltastack.fleet import accelerator
    from deltastack.fleet.operators import roofline, tables_for

    base = at.deployment(0, ())
    platform = accelerator.load(at.root, base.platform)
    return roofline.words(tables_for(base.model, platform, base.precision, base.tensor_parallel))


def _changes(layer: Layer, technique: str | None, changed: list[str]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Values for the deployment, and by technique.

    Raises:
        ParamsError: Not KEY=VALUE, or a key that nobody here has; the message lists what there is.
    """
    from deltastack.errors import ParamsError

    served: dict[str, Any] = {}
    override: dict[str, dict[str, Any]] = {}
    for words in changed:
        name, equals, value = words.partition("=")
        if not equals:
            raise ParamsError(f"--set {words}: wanted KEY=VALUE")
        group, _, key = name.rpartition(".")
        if group == SERVED:
            served[key] = value
        else:
            override.setdefault(_owner(layer, group or technique, key), {})[key] = value
    return served, override


def _owner(layer: Layer, group: str | None, key: str) -> str:
    """The technique that has ``key``: the one named, or the only one.

    Raises:
        ParamsError: None, or more than one.
        UnknownNameError: No such technique.
    """
    from deltastack.errors import ParamsError

    among = [layer.technique(group)] if group else list(layer.techniques)
    have = [t.name for t in among if key in t.params.model_fields]
    if len(have) == 1:
        return str(have[0])
    there = "; ".join(f"{t.name}: {', '.join(t.params.model_fields)}" for t in among)
    what = f"key '{key}' is in {' and '.join(have)}, say TECHNIQUE.{key}" if have else f"no key '{key}' in {layer.name}"
    raise ParamsError(f"{what}; there are: {there}; or {SERVED}.KEY of params/fleet.yaml")


def _workbench(root: Path, scene: str | None, variant: str | None, draws: int | None, served: Mapping[str, Any]) -> FleetRunner:
    """A scene, with so many draws; its workload, or a mix of params/workload.yaml in the place of the checkout's own.

    Raises:
        UnknownNameError: No such scene.
        ParamsError: No such mix, or a scene that does not hold.
        WorkloadError: The trace is gone or bad.
    """
    from deltastack.errors import ParamsError
    from deltastack.evaluation.fleet_runner import FleetRunner
    from deltastack.fleet import executor
    from deltastack.fleet.trace_arrays import requests
    from deltastack.workload import settings
    from tasks import fleet

    stack, chosen = fleet.stack(root), settings.load(root)
    place = fleet.scene(root, scene or stack.scene)
    if variant is not None:
        if variant not in chosen.variants:
            raise ParamsError(f"no variant '{variant}' in {settings.FILE}; there are: {', '.join(chosen.variants)}")
        mixed = chosen.generator.model_copy(update={"variant": variant})
        chosen = chosen.model_copy(update={"trace": None, "generator": mixed})
    known = requests(place.workload.frame(root, chosen))
    return FleetRunner(
        root=root,
        requests=known,
        draws=draws or stack.draws,
        canonical=stack.canonical,
        served=served,
        scene=place,
        executor=executor.chosen(root, stack.executor),
    )


def _estimated(at: FleetRunner, layer: Layer, technique: str | None, override: Mapping[str, Mapping[str, Any]]) -> Estimate:
    """The savings.

    Raises:
        OutOfValidityError: The one technique that was asked for does not hold here, or has no meaning on the fleet.
    """
    from deltastack.errors import OutOfValidityError
    from deltastack.evaluation import fleet_estimates
    from deltastack.evaluation.delta_summary import Estimate, savings

    here = {t.name for t in at.chosen(layer, 0, override) if t.on_fleet}
    if not here or (technique is not None and technique not in here):
        what, cell = (technique, f"{layer.name}/{technique}") if technique else (layer.name, layer.name)
        raise OutOfValidityError(f"{what} is nothing that the fleet can simulate: deltastack measure --cells base,{cell}")
    rows, refused, missed = fleet_estimates.delta_rows(at, layer, [technique] if technique else None, override)
    if technique is not None and refused:
        raise OutOfValidityError(f"{technique}: {refused[0].reason}")
    bad = {one.technique for one in refused}
    held = [t for t in at.chosen(layer, 0, override) if t.name in here - bad and technique in {None, t.name}]
    notes = {t.name: at.said(t) for t in held}
    return Estimate(layer.name, savings(rows), notes, tuple(refused), at.draws, tuple(missed))


def _plain(found: Estimate) -> dict[str, Any]:
    """What ``--json`` prints: fractions, and words."""
    return {
        "layer": found.layer,
        "bench": "fleet",
        "draws": found.draws,
        "savings": [s._asdict() for s in found.savings],
        "notes": found.notes,
        "refused": [r._asdict() for r in found.refused],
        "goals": [m._asdict() for m in found.missed],
    }


def _show(found: Estimate) -> None:
    from rich.table import Table

    console = output.console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("technique", "operating_point", "resource"):
        table.add_column(heading, overflow="fold")
    table.add_column("saves", justify="right", no_wrap=True)
    table.add_column("range", justify="right", no_wrap=True)
    table.add_column("evidence")
    for s in found.savings:
        table.add_row(s.technique, s.operating_point, s.resource, *_percent(s, found.draws), s.evidence)
    console.print(table)
    for reason in dict.fromkeys(s.reason for s in found.savings if s.delta is None and s.reason):
        console.print(f"not known: {reason}", soft_wrap=True)
    for name, words in found.notes.items():
        console.print(f"{name}: {words}", soft_wrap=True)
    for one in found.refused:
        console.print(f"{one.technique} does not hold here and has no row: {one.reason}", soft_wrap=True)
    for late in found.missed:
        console.print(
            f"{late.cell} misses the latency goals {late.operating_point} in {late.draws} of {late.of} draws: {late.words}",
            soft_wrap=True,
        )
    ranged = (
        f"range over {found.draws} sets of parameters, the first central"
        if found.draws > 1
        else "one set of parameters: no range"
    )
    console.print(f"Per request; negative is a loss; {ranged}", soft_wrap=True)


def _percent(s: Saving, draws: int) -> tuple[str, str]:
    """The saving and its range; one draw has none."""
    from deltastack.evaluation.delta_summary import far

    if s.delta is None or s.low is None or s.high is None:
        return "not known", "-"
    if far(s.delta):
        return f"{1 - s.delta:,.0f} times as much", "-" if draws == 1 else f"{1 - s.high:,.0f} .. {1 - s.low:,.0f} times"
    return f"{100 * s.delta:+.1f} %", "-" if draws == 1 else f"{100 * s.low:+.1f} .. {100 * s.high:+.1f}"
