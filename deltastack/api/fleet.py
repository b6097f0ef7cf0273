"""``simulate`` and ``capacity``: one deployment, asked what it gives and takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltastack import home, layers
from deltastack.answer import Answer
from deltastack.errors import ParamsError
from deltastack.fleet import deployment_query, scene, settings
from deltastack.fleet.deployment_query import DRAWS, Aim, DeploymentQuery, Loop
from deltastack.fleet.trace_arrays import requests
from deltastack.workload import lengths
from deltastack.workload import settings as workload_settings
from deltastack.workload.readers import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    import altair as alt
    import pandas as pd

    from deltastack.fleet.scene import Scene
    from deltastack.fleet.simulator import Requests

MODEL, PLATFORM, PRECISION = "Qwen/Qwen3-VL-8B-Instruct", "h100_sxm", "bf16"
_CLIENTS = 1000
"""So many equal prompts are enough to search a rate with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetAnswer(Answer):
    """What a deployment gives and takes; ``found`` has the keys of the command's ``--json``."""

    asked: DeploymentQuery
    found: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        """One value: ``answer["requests_per_s"]``."""
        return self.found[key]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return dict(self.found)

    def to_frame(self) -> pd.DataFrame:
        """Amounts per request by component and resource, with their ends over the draws."""
        import pandas as pd

        return pd.DataFrame(self.found["usage"])

    def _chart(self) -> alt.Chart:
        import altair as alt

        bars = alt.Chart(self.to_frame(), title="Amounts per request, by component").mark_bar()
        found: alt.Chart = bars.encode(x="sum(amount)", y="component").facet(row="resource").resolve_scale(x="independent")
        return found

    def __str__(self) -> str:
        """The answer in a few lines."""
        return "\n".join(words(self))


def simulate(  # noqa: PLR0913 - one keyword an option of the command
    *,
    scene: str | None = None,
    model: str | None = None,
    platform: str | None = None,
    precision: str | None = None,
    tensor_parallel: int | None = None,
    replicas: int | None = None,
    token_budget: int | None = None,
    trace: str | Path | None = None,
    closed_loop: int | None = None,
    prompt_tokens: int = 150,
    image_tokens: int = 0,
    output_tokens: str | int | None = None,
    draws: int = DRAWS,
    root: str | Path | None = None,
) -> FleetAnswer:
    """Simulate a deployment on a trace or in a closed loop: throughput, latency, power, usage per request.

    Args:
        scene: Of params/scenes; its values are the defaults of the others.
        model: A model that operator times exist for.
        platform: An accelerator of params/platforms.
        precision: ``bf16``, ``fp8`` or ``nvfp4``.
        tensor_parallel: Accelerators a replica.
        replicas: Behind the router.
        token_budget: Tokens a step at most; None takes params/fleet.yaml, which follows the board.
        trace: A file to serve; None takes the workload of the scene or of params/workload.yaml.
        closed_loop: Clients with one request each; needs ``output_tokens``, takes no trace.
        prompt_tokens: Text tokens of each prompt of a closed loop.
        image_tokens: Visual tokens of its one image; 0 is text only.
        output_tokens: Tokens answered: a number, or a file of lengths.
        draws: Draws of params/fleet.yaml behind ``lo`` and ``hi``.
        root: Where ``params`` lies; None takes the checkout around the current folder, else what came with the package.

    Raises:
        ParamsError: Arguments that do not fit each other.
        UnknownNameError: No such scene, model, platform or precision, or no operator times for them together.
        CapacityError: The model does not fit, or some requests never do.
    """
    if closed_loop is None and output_tokens is not None:
        raise ParamsError("--output-tokens needs --closed-loop N; a trace has its own")
    if closed_loop is not None and (trace is not None or output_tokens is None):
        raise ParamsError("--closed-loop N needs --output-tokens and no --trace")
    at, place = _place(root, scene)
    load: Requests | Loop = (
        _trace(at, place, trace) if closed_loop is None else _loop(closed_loop, prompt_tokens, image_tokens, output_tokens)
    )
    asked = _asked(at, place, model, platform, precision, tensor_parallel, replicas, token_budget)
    return FleetAnswer(asked=asked, found=deployment_query.simulate(at, asked, load, draws=draws))


def capacity(  # noqa: PLR0913 - one keyword an option of the command
    *,
    scene: str | None = None,
    model: str | None = None,
    platform: str | None = None,
    precision: str | None = None,
    tensor_parallel: int | None = None,
    replicas: int | None = None,
    token_budget: int | None = None,
    trace: str | Path | None = None,
    prompt_tokens: int = 150,
    image_tokens: int = 0,
    output_tokens: str | int | None = None,
    share: float | None = None,
    slack_s: float | None = None,
    slack_token_s: float | None = None,
    seed: int | None = None,
    draws: int = DRAWS,
    root: str | Path | None = None,
) -> FleetAnswer:
    """Search the goodput: the largest rate of Poisson arrivals at which enough requests meet their own latency goal.

    Arguments are those of ``simulate``, and:

    Args:
        scene: As ``simulate``.
        model: As ``simulate``.
        platform: As ``simulate``.
        precision: As ``simulate``.
        tensor_parallel: As ``simulate``.
        replicas: As ``simulate``.
        token_budget: As ``simulate``.
        trace: What requests are sampled from.
        prompt_tokens: Of equal prompts, where ``output_tokens`` is given.
        image_tokens: As ``prompt_tokens``.
        output_tokens: Equal prompts with these outputs, instead of a trace.
        share: Of requests that meet their goal.
        slack_s: Beyond a request's time alone [s].
        slack_token_s: More for each output token [s].
        seed: Of the sampled load.
        draws: As ``simulate``.
        root: As ``simulate``.

    Raises:
        ParamsError: Arguments that do not fit each other, or goals that do not hold.
        UnknownNameError: As ``simulate``.
        CapacityError: As ``simulate``, or no rate meets the goals.
    """
    if output_tokens is not None and trace is not None:
        raise ParamsError("--output-tokens and --trace both say what comes; give one")
    at, place = _place(root, scene)
    load = (
        _trace(at, place, trace)
        if output_tokens is None
        else _loop(_CLIENTS, prompt_tokens, image_tokens, output_tokens).requests()
    )
    asked = _asked(at, place, model, platform, precision, tensor_parallel, replicas, token_budget)
    aim = Aim(share=share, slack_s=slack_s, slack_token_s=slack_token_s, seed=seed)
    return FleetAnswer(asked=asked, found=deployment_query.capacity(at, asked, load, aim, draws=draws))


def words(answer: FleetAnswer) -> list[str]:
    """The answer without its table of usage, one line a fact."""
    asked, found = answer.asked, answer.found
    wide = f" x {asked.tensor_parallel}" if asked.tensor_parallel > 1 else ""
    where = f"{asked.model} in {asked.precision} on {asked.platform}{wide}, {asked.replicas} replica{'s' * (asked.replicas > 1)}"
    lines = [where + (f"; {found['roofline_only']}" if found["roofline_only"] else "")]
    if "rate_per_s" in found:
        goals = found["goals"]
        lines.append(
            f"goodput {found['requests_per_s']:.3g} requests/s: {goals['share']:.0%} of requests end within their time alone + "
            f"{goals['slack_s']:g} s + {1e3 * goals['slack_token_s']:g} ms a token"
        )
    lines.append(
        f"{found['output_tokens_per_s']:,.1f} output tokens/s, {found['requests_per_s']:.3g} requests/s, "
        f"{found['power_w']:,.0f} W and {found['energy_per_token_j']:.3g} J a token (accelerators alone), "
        f"batch {found['mean_batch']:.1f}"
    )
    lines.append(
        f"room for {found['kv_capacity_tokens']:,} tokens of keys and values a replica, {found['preemptions']:,} preemptions, "
        f"at most {found['token_budget']:,} tokens a step"
    )
    for name in ("ttft_s", "tpot_s", "e2e_s"):
        points = ", ".join(f"{q} {v:.4g} s" if v is not None else f"{q} -" for q, v in found[name].items())
        lines.append(f"{name.removesuffix('_s'):4} {points}")
    return lines + [f"off the grid of measured operator times: {axis}" for axis in found["extrapolated"]]


def _place(root: str | Path | None, name: str | None) -> tuple[Path, Scene | None]:
    """Where the params lie, and the scene of that name."""
    at = home.home() if root is None else Path(root)
    return at, None if name is None else scene.load(at, name, tuple(layers.LAYERS))


def _asked(  # noqa: PLR0913, PLR0917 - the deployment's own values
    root: Path,
    place: Scene | None,
    model: str | None,
    platform: str | None,
    precision: str | None,
    tensor_parallel: int | None,
    replicas: int | None,
    token_budget: int | None,
) -> DeploymentQuery:
    """The deployment in question: the scene's, or one accelerator's, with what was said instead."""
    known = None if place is None else settings.load(root, scene=place)
    served = known and known.values.deployment  # noqa: PD011 - a field of Settings, no frame
    return DeploymentQuery(
        model=model or (served.model if served else MODEL),
        platform=platform or (served.platform if served else PLATFORM),
        precision=precision or (served.precision if served else PRECISION),
        tensor_parallel=tensor_parallel or (served.tensor_parallel if served else 1),
        replicas=replicas or (served.replicas if served else 1),
        token_budget=token_budget,
        scene=place,
    )


def _trace(root: Path, place: Scene | None, path: str | Path | None) -> Requests:
    chosen = workload_settings.load(root)
    if path is not None:
        return requests(read(Path(path), chosen.images).frame)
    return requests(workload_settings.workload(root, chosen).frame if place is None else place.workload.frame(root, chosen))


def _loop(clients: int, prompt_tokens: int, image_tokens: int, output_tokens: str | int | None) -> Loop:
    known = lengths.parse(str(output_tokens))
    return deployment_query.loop(clients, known, prompt_tokens=prompt_tokens, image_tokens=image_tokens)
