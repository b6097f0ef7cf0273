"""``deltastack simulate`` and ``deltastack capacity``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from deltastack.fleet.deployment_query import DeploymentQuery, Loop
    from deltastack.fleet.scene import Scene as Place
    from deltastack.fleet.simulator import Requests

MODEL = "Qwen/Qwen3-VL-8B-Instruct"
OUTPUTS = (
    "Tokens answered: a number, or a FILE with one length a line, a CSV column `output_tokens`, "
    "or CSV columns `quantile,output_tokens` (with a row `mean,...`)."
)
SCENE = "A scene of params/scenes: its deployment, workload and goals; options beside it replace its values."
Scene = Annotated[str | None, typer.Option(help=SCENE)]
Model = Annotated[str | None, typer.Option(help=f"A model that operator times exist for (default: the scene's, or {MODEL}).")]
Platform = Annotated[str | None, typer.Option(help="An accelerator of params/platforms (default: the scene's, or h100_sxm).")]
Precision = Annotated[str | None, typer.Option(help="bf16, fp8 or nvfp4 (default: the scene's, or bf16).")]
Parallel = Annotated[int | None, typer.Option("--tensor-parallel", min=1, help="Accelerators a replica.")]
Replicas = Annotated[int | None, typer.Option(min=1, help="Replicas behind the router (default: the scene's, or 1).")]
Trace = Annotated[Path | None, typer.Option(help="A trace to serve (default: the workload of params/workload.yaml).")]
Prompt = Annotated[int, typer.Option("--prompt-tokens", min=1, help="Text tokens of each prompt.")]
Image = Annotated[int, typer.Option("--image-tokens", min=0, help="Visual tokens of its one image; 0: text only.")]
Output = Annotated[str | None, typer.Option("--output-tokens", help=OUTPUTS)]
Draws = Annotated[int, typer.Option(min=1, help="Draws of params/fleet.yaml behind lo and hi.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")]


def simulate(
    scene: Scene = None,
    model: Model = None,
    platform: Platform = None,
    precision: Precision = None,
    tensor_parallel: Parallel = None,
    replicas: Replicas = None,
    trace: Trace = None,
    closed_loop: Annotated[
        int | None, typer.Option("--closed-loop", min=1, max=100_000, help="Clients with one request each.")
    ] = None,
    prompt_tokens: Prompt = 150,
    image_tokens: Image = 0,
    output_tokens: Output = None,
    draws: Draws = 9,
    as_json: AsJson = False,
) -> None:
    """What a deployment gives and takes: throughput, latency, power, usage.

    Power and energy a token are of the accelerators alone; usage is per request and has their share of the node as well.
    """
    from deltastack.errors import ParamsError
    from deltastack.fleet import deployment_query

    if closed_loop is None and output_tokens is not None:
        raise ParamsError("--output-tokens needs --closed-loop N; a trace has its own")
    if closed_loop is not None and (trace is not None or output_tokens is None):
        raise ParamsError("--closed-loop N needs --output-tokens and no --trace")
    load: Requests | Loop = (
        _trace(trace, scene) if closed_loop is None else _loop(closed_loop, prompt_tokens, image_tokens, output_tokens)
    )
    asked = _asked(scene, model, platform, precision, tensor_parallel, replicas)
    _show(asked, deployment_query.simulate(_root(), asked, load, draws=draws), as_json=as_json)


def capacity(
    scene: Scene = None,
    model: Model = None,
    platform: Platform = None,
    precision: Precision = None,
    tensor_parallel: Parallel = None,
    replicas: Replicas = None,
    trace: Trace = None,
    prompt_tokens: Prompt = 150,
    image_tokens: Image = 0,
    output_tokens: Output = None,
    share: Annotated[float | None, typer.Option(help="Of requests that meet their goal (default: params/fleet.yaml).")] = None,
    slack: Annotated[float | None, typer.Option(help="Beyond a request's time alone [s] (default: params/fleet.yaml).")] = None,
    slack_token: Annotated[
        float | None, typer.Option("--slack-token", help="More for each output token [s] (default: params/fleet.yaml).")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the sampled load (default: params/fleet.yaml).")] = None,
    draws: Draws = 9,
    as_json: AsJson = False,
) -> None:
    """The goodput: the largest rate of Poisson arrivals at which enough requests meet their own latency goal.

    A request's goal is its time alone on the deployment and a slack. Requests are sampled from the trace, or are equal prompts
    where --output-tokens is given.
    """
    from deltastack.errors import ParamsError
    from deltastack.fleet import deployment_query

    if output_tokens is not None and trace is not None:
        raise ParamsError("--output-tokens and --trace both say what comes; give one")
    requests = (
        _trace(trace, scene) if output_tokens is None else _loop(1000, prompt_tokens, image_tokens, output_tokens).requests()
    )
    asked = _asked(scene, model, platform, precision, tensor_parallel, replicas)
    aim = deployment_query.Aim(share=share, slack_s=slack, slack_token_s=slack_token, seed=seed)
    found = deployment_query.capacity(_root(), asked, requests, aim, draws=draws)
    _show(asked, found, as_json=as_json)


def _root() -> Path:
    from tasks.stage_runner import root_from

    return root_from(Path.cwd())


def _asked(
    scene: str | None,
    model: str | None,
    platform: str | None,
    precision: str | None,
    tensor_parallel: int | None,
    replicas: int | None,
) -> DeploymentQuery:
    """The deployment in question: the scene's, or one accelerator's, with what was said instead."""
    from deltastack.fleet import settings
    from deltastack.fleet.deployment_query import DeploymentQuery

    place = None if scene is None else _scene(scene)
    served = None if place is None else settings.load(_root(), scene=place).values.deployment
    return DeploymentQuery(
        model=model or (served.model if served else MODEL),
        platform=platform or (served.platform if served else "h100_sxm"),
        precision=precision or (served.precision if served else "bf16"),
        tensor_parallel=tensor_parallel or (served.tensor_parallel if served else 1),
        replicas=replicas or (served.replicas if served else 1),
        scene=place,
    )


def _scene(name: str) -> Place:
    from deltastack import layers
    from deltastack.fleet import scene

    return scene.load(_root(), name, tuple(layers.LAYERS))


def _trace(path: Path | None, scene: str | None) -> Requests:
    from deltastack.fleet.trace_arrays import requests
    from deltastack.workload import settings
    from deltastack.workload.readers import read

    chosen = settings.load(_root())
    if path is not None:
        return requests(read(path, chosen.images).frame)
    return requests(settings.workload(_root(), chosen).frame if scene is None else _scene(scene).workload.frame(_root(), chosen))


def _loop(clients: int, prompt_tokens: int, image_tokens: int, output_tokens: str | None) -> Loop:
    from deltastack.fleet.deployment_query import loop
    from deltastack.workload import lengths

    assert output_tokens is not None  # noqa: S101 - the command has checked it
    return loop(clients, lengths.parse(output_tokens), prompt_tokens=prompt_tokens, image_tokens=image_tokens)


def _show(asked: DeploymentQuery, found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.emit_json(found)
        return
    from rich.console import Console
    from rich.table import Table

    say = Console(soft_wrap=True).print
    wide = f" x {asked.tensor_parallel}" if asked.tensor_parallel > 1 else ""
    say(f"{asked.model} in {asked.precision} on {asked.platform}{wide}, {asked.replicas} replica{'s' * (asked.replicas > 1)}")
    if "rate_per_s" in found:
        goals = found["goals"]
        say(
            f"goodput {found['requests_per_s']:.3g} requests/s: {goals['share']:.0%} of requests end within their time alone + "
            f"{goals['slack_s']:g} s + {1e3 * goals['slack_token_s']:g} ms a token"
        )
    say(
        f"{found['output_tokens_per_s']:,.1f} output tokens/s, {found['requests_per_s']:.3g} requests/s, "
        f"{found['power_w']:,.0f} W and {found['energy_per_token_j']:.3g} J a token (accelerators alone), "
        f"batch {found['mean_batch']:.1f}"
    )
    for name in ("ttft_s", "tpot_s", "e2e_s"):
        points = ", ".join(f"{q} {v:.4g} s" if v is not None else f"{q} -" for q, v in found[name].items())
        say(f"{name.removesuffix('_s'):4} {points}")
    for axis in found["extrapolated"]:
        say(f"off the grid of measured operator times: {axis}")
    table = Table("component", "resource", "per request", "lo", "hi", "evidence", box=None, pad_edge=False)
    for row in found["usage"]:
        amounts = ("-" if row[k] is None else f"{row[k]:.4g}" for k in ("amount", "lo", "hi"))
        table.add_row(row["component"], row["resource"], *amounts, row["evidence"])
    Console().print(table)
    for reason in dict.fromkeys(row["reason"] for row in found["usage"] if row["reason"]):
        say(reason)
