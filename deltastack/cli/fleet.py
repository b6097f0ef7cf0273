"""``deltastack simulate`` and ``deltastack capacity``."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from rich.table import Table

    from deltastack.api import FleetAnswer

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
Budget = Annotated[int | None, typer.Option("--token-budget", min=1, help="Tokens a step at most (default: vLLM's own there).")]
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
    token_budget: Budget = None,
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
    from deltastack import api

    found = api.simulate(
        scene=scene,
        model=model,
        platform=platform,
        precision=precision,
        tensor_parallel=tensor_parallel,
        replicas=replicas,
        token_budget=token_budget,
        trace=trace,
        closed_loop=closed_loop,
        prompt_tokens=prompt_tokens,
        image_tokens=image_tokens,
        output_tokens=output_tokens,
        draws=draws,
    )
    _show(found, as_json=as_json)


def capacity(
    scene: Scene = None,
    model: Model = None,
    platform: Platform = None,
    precision: Precision = None,
    tensor_parallel: Parallel = None,
    replicas: Replicas = None,
    token_budget: Budget = None,
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
    from deltastack import api

    found = api.capacity(
        scene=scene,
        model=model,
        platform=platform,
        precision=precision,
        tensor_parallel=tensor_parallel,
        replicas=replicas,
        token_budget=token_budget,
        trace=trace,
        prompt_tokens=prompt_tokens,
        image_tokens=image_tokens,
        output_tokens=output_tokens,
        share=share,
        slack_s=slack,
        slack_token_s=slack_token,
        seed=seed,
        draws=draws,
    )
    _show(found, as_json=as_json)


def _show(found: FleetAnswer, *, as_json: bool) -> None:
    if as_json:
        output.emit_json(found.to_dict())
        return

    console = output.console(soft_wrap=True)
    console.print(str(found))
    output.console().print(_usage(found))
    console.print("amounts per request; --json has the range of each over the draws")
    for reason in dict.fromkeys(row["reason"] for row in found["usage"] if row["reason"]):
        console.print(reason)


def _usage(found: FleetAnswer) -> Table:
    """Amounts per request: one row a component, one column a resource; their sums, and the weakest evidence among them."""
    from rich.table import Table

    from deltastack.model import Evidence, weakest

    wide = found.to_frame().pivot_table(index="component", columns="resource", values="amount", sort=False)
    wide.loc["all"] = wide.sum()
    table = Table("component", *(str(c) for c in wide.columns), box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, amounts in wide.iterrows():
        table.add_row(str(name), *("-" if isnan(a) else f"{a:.3g}" for a in amounts))
    evidence = found.to_frame().groupby("resource")["evidence"].agg(lambda e: str(weakest([Evidence(x) for x in e])))
    table.add_row("evidence", *(evidence[r] for r in wide.columns))
    return table
