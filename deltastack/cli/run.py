"""``deltastack run`` and ``deltastack sync``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltastack.cli import output, progress

if TYPE_CHECKING:
    from flows.run_stack import Ended


def run(
    trace: Annotated[str | None, typer.Option(help="A trace to read, or `default` for the built-in workload.")] = None,
    drop_bad: Annotated[bool, typer.Option("--drop-bad", help="Drop bad rows of the trace and count them.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Smaller and faster; its numbers may not be quoted.")] = False,
    long: Annotated[bool, typer.Option("--long", help="Measure with the long budget (about an hour).")] = False,
    force_measure: Annotated[bool, typer.Option("--force-measure", help="Measure again, even if nothing changed.")] = False,
    scene: Annotated[
        str | None, typer.Option(help="Compute this scene of params/scenes too, or `all` (default: the headline's alone).")
    ] = None,
    testbed: Annotated[
        bool, typer.Option("--testbed", help="Measure on the torch testbed too (about 5 minutes; the extra `testbed`).")
    ] = False,
    target: Annotated[str, typer.Option(help="Only this stage of dvc.yaml and what it needs.")] = "aggregate",
    verbose: Annotated[bool, typer.Option("--verbose", help="Every sentence of the result, not the last 15 lines.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Bring the whole graph up to date, publish the results, print the headline."""
    if quick and long:
        raise typer.BadParameter("--quick and --long exclude each other")
    from flows import process_group, run_stack
    from tasks import params_editor, stage_runner, testbed_tables
    from tasks import scenes as tasks_scenes

    root = stage_runner.root_from(Path.cwd())
    if testbed:
        testbed_tables.require()
    with process_group.turn(root, output.say):
        if trace is not None:
            from tasks import workload

            workload.set_trace(root, None if trace == "default" else Path(trace), drop_bad=drop_bad)
        params_editor.set_effort(root, "quick" if quick else "long" if long else "default")
        for layer in params_editor.add_values(root):
            output.say(f"params/layers/{layer}.yaml: copied from the package that brings the layer")
        names = _scenes(root, scene)
        with progress.shown() as (begin, step):
            listener = run_stack.Listener(output.say, begin, step)
            before = []
            if names:
                before = run_stack.run(root, " ".join(f"scene@{n}" for n in names), remeasure=False, listener=listener).stages
                tasks_scenes.show(root, names)
            if testbed:
                layers = tuple(params_editor.layers(root))
                before += run_stack.run(root, testbed_tables.stages(layers), remeasure=force_measure, listener=listener).stages
                testbed_tables.show(root)
            ended = run_stack.run(root, target, remeasure=force_measure, listener=listener)
    done = {d.stage for d in ended.stages}
    _show(
        root,
        ended._replace(stages=[*(d for d in before if d.stage not in done), *ended.stages]),
        as_json=as_json,
        verbose=verbose,
    )


def _scenes(root: Path, asked: str | None) -> tuple[str, ...]:
    """The scenes to compute beside the headline's, each with its stages in the graph.

    Raises:
        UnknownNameError: No such scene.
        ParamsError: It does not hold, or no deployment of it meets its goals.
    """
    from deltastack.fleet import scene
    from tasks import fleet, params_editor

    if asked is None:
        return ()
    names = scene.scenes(root) if asked == "all" else (asked,)
    for name in names:
        fleet.scene(root, name)
        params_editor.add_scene(root, name)
    return names


def sync(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Publish to MLflow what a server that was away has not taken yet."""
    from flows import run_stack
    from tasks import stage_runner

    runs = run_stack.sync(stage_runner.root_from(Path.cwd()), output.say)
    if as_json:
        output.emit_json({"runs": runs})
    else:
        typer.echo(f"{len(runs)} set{'s' * (len(runs) != 1)} of results published" if runs else "nothing waits to be published")


def _show(root: Path, ended: Ended, *, as_json: bool, verbose: bool = False) -> None:
    from flows import summary, tracking_page
    from tasks import outbox

    metrics: dict[str, Any] = outbox.read(root / outbox.METRICS)
    if as_json:
        stages = [{"stage": d.stage, "outcome": d.outcome.value, "seconds": d.seconds} for d in ended.stages]
        output.emit_json({"stages": stages, "metrics": metrics})
        return
    if not ended.ran:
        typer.echo(f"nothing changed: {len(ended.stages)} stages up to date")
    for text in summary.sentences(root) if verbose else summary.lines(root):
        typer.echo(text)
    places = [p for p in ("reports/report.html", "reports/metrics.json") if (root / p).is_file()]
    if places:
        typer.echo(f"{'report':8} {'   '.join(places)}")
    page = tracking_page.address(root)
    if page is not None:
        typer.echo(f"{'MLflow':8} {page}")
