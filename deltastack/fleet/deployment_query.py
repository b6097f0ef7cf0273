"""One deployment asked about: what it gives and takes on a trace, in a closed loop, or at the largest rate it can serve.

The answer carries the central draw of params/fleet.yaml; the ends of each amount are the 2.5 and 97.5 % quantiles over its
draws. Power and energy a token are of the accelerators alone, as a meter on the board reads them; usage has the node's too.

    energy_per_token_j = power_w / output_tokens_per_s
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from deltastack import params
from deltastack.errors import ParamsError
from deltastack.fleet import accelerator, closed_loop, evaluate, settings
from deltastack.fleet.accounting import power_states
from deltastack.fleet.operators import roofline
from deltastack.fleet.simulator import e2e_s, percentiles, tpot_s, ttft_s
from deltastack.statistics import drawn_ends

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.evaluate import Prepared, Run
    from deltastack.fleet.scene import Scene
    from deltastack.fleet.settings import Settings
    from deltastack.fleet.simulator import Requests
    from deltastack.workload.lengths import Lengths

DRAWS = 9
SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentQuery:
    """The deployment in question; the rest is that of params/fleet.yaml."""

    model: str
    platform: str
    precision: str
    tensor_parallel: int = 1
    replicas: int = 1
    token_budget: int | None = None
    """Tokens a step at most; None: those of params/fleet.yaml or the board."""
    scene: Scene | None = None
    """Whose values the rest has; None: those of params/fleet.yaml."""

    def deployment(self, served: settings.Served) -> Deployment:
        """The base deployment of params/fleet.yaml with these instead."""
        base = served.deployment()
        batching = replace(base.batching, token_budget=self.token_budget or base.batching.token_budget)
        return replace(
            base,
            batching=batching,
            model=self.model,
            platform=self.platform,
            precision=self.precision,
            tensor_parallel=self.tensor_parallel,
            replicas=self.replicas,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loop:
    """A closed loop of equal prompts: so many clients, each with one request in flight."""

    clients: int
    prompt_tokens: int
    image_tokens: int
    output_tokens: NDArray[np.int64]

    def requests(self) -> Requests:
        """Requests enough for a steady state, outputs in a seeded order."""
        return closed_loop.requests(self.output_tokens, prompt_tokens=self.prompt_tokens, image_tokens=self.image_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """Goals of the requests, and the seed of the load; what is None is that of params/fleet.yaml."""

    share: float | None = None
    slack_s: float | None = None
    slack_token_s: float | None = None
    seed: int | None = None

    def of(self, known: Settings, draw: int) -> Settings:
        """``known``, which is draw number ``draw``, with these instead.

        Raises:
            ParamsError: Goals that do not hold.
        """
        values = known.values
        given = {"share": self.share, "slack_s": self.slack_s, "slack_token_s": self.slack_token_s}
        changed = values.goals.model_dump() | {k: v for k, v in given.items() if v is not None}
        seed = values.capacity.seed if self.seed is None else self.seed + draw
        update = {
            "goals": params.parse(changed, settings.Goals, "goals"),
            "capacity": values.capacity.model_copy(update={"seed": seed}),
        }
        return known._replace(values=values.model_copy(update=update))


def loop(clients: int, outputs: Lengths, *, prompt_tokens: int, image_tokens: int) -> Loop:
    """A closed loop whose outputs follow ``outputs``, as many as a steady state takes.

    Lengths that were seen are repeated whole as often as needed, in a seeded order.

    Raises:
        WorkloadError: Lengths that do not hold.
    """
    count = closed_loop.count(clients)
    if outputs.seen.size:
        whole = np.resize(np.random.default_rng(SEED).permutation(outputs.seen), max(count, outputs.seen.size))
        tokens = np.random.default_rng(SEED + 1).permutation(whole)[:count]
    else:
        tokens = closed_loop.lengths(outputs.mean, outputs.quantiles, count)
    return Loop(clients=clients, prompt_tokens=prompt_tokens, image_tokens=image_tokens, output_tokens=tokens)


def simulate(root: Path, asked: DeploymentQuery, load: Requests | Loop, *, draws: int = DRAWS) -> dict[str, Any]:
    """The answer on a trace or in a closed loop, ready for JSON.

    Args:
        root: The checkout.
        asked: What serves.
        load: A trace with arrivals, or a closed loop.
        draws: How many draws of params/fleet.yaml; 1 gives no ends.

    Raises:
        UnknownNameError: No such model, platform or precision, or no operator times for them together.
        CapacityError: The model does not fit, or some requests never do.
    """
    runs = []
    for known in _settings(root, asked, draws):
        ready = _ready(root, asked, load, known)
        runs.append(evaluate.observe(ready, ready.requests, known))
    return _answer(runs, load)


def capacity(
    root: Path,
    asked: DeploymentQuery,
    requests: Requests,
    aim: Aim,
    *,
    draws: int = DRAWS,
) -> dict[str, Any]:
    """The answer at the goodput, ready for JSON; the goal of a request is its time alone on the deployment itself, and a slack.

    Args:
        root: The checkout.
        asked: What serves.
        requests: What requests are sampled from.
        aim: Goals and seed.
        draws: How many draws of params/fleet.yaml; 1 gives no ends.

    Raises:
        UnknownNameError: As ``simulate``.
        CapacityError: As ``simulate``, or no rate meets the goals.
    """
    runs, rates = [], []
    for draw, known in enumerate(_settings(root, asked, draws)):
        aimed = aim.of(known, draw)
        ready = _ready(root, asked, requests, aimed)
        load = evaluate.offered(ready, aimed).load
        rates.append(evaluate.goodput(ready, load))
        runs.append(evaluate.at_rate(ready, aimed, load, rates[-1]))
    goals = runs[0].account.settings.values.goals.model_dump()
    found = {"rate_per_s": rates[0], "rate_lo": min(rates), "rate_hi": max(rates), "goals": goals}
    return found | _answer(runs, requests) | {"requests_per_s": rates[0]}


def _settings(root: Path, asked: DeploymentQuery, draws: int) -> list[Settings]:
    if draws < 1:
        raise ParamsError(f"draws = {draws}, must be at least 1")
    return [settings.load(root, draw=n, draws=draws, scene=asked.scene) for n in range(draws)]


def _ready(root: Path, asked: DeploymentQuery, load: Requests | Loop, known: Settings) -> Prepared:
    deployment, where = asked.deployment(known.values.deployment), accelerator.load(root, asked.platform)
    if not isinstance(load, Loop):
        return evaluate.prepare(deployment, load, where, known.values)
    if load.clients < 1:
        raise ParamsError(f"closed loop of {load.clients} clients, must be at least 1")
    sequences = -(-load.clients // deployment.replicas)
    budget = deployment.batching.token_budget
    batching = replace(deployment.batching, max_sequences=sequences, token_budget=budget and max(budget, sequences))
    ready = evaluate.prepare(replace(deployment, batching=batching), load.requests(), where, known.values)
    return replace(ready, config=replace(ready.config, clients=load.clients))


def _answer(runs: Sequence[Run], load: Requests | Loop) -> dict[str, Any]:
    central = runs[0]
    result, served = central.result, central.requests
    if isinstance(load, Loop):
        tokens_per_s = closed_loop.steady_tokens_per_s(result, served, load.clients)
    else:
        tokens_per_s = float(served.output_tokens.sum()) / result.span_s
    watts = power_w(central)
    return {
        "output_tokens_per_s": tokens_per_s,
        "requests_per_s": tokens_per_s / float(served.output_tokens.mean()),
        "power_w": watts,
        "energy_per_token_j": watts / tokens_per_s,
        "ttft_s": percentiles(ttft_s(result)),
        "tpot_s": percentiles(tpot_s(result, served)),
        "e2e_s": percentiles(e2e_s(result)),
        "requests": int(served.arrival_s.size),
        "span_s": result.span_s,
        "mean_batch": result.sequence_steps / result.steps,
        "kv_capacity_tokens": int(central.account.residents.kv // central.account.tables.kv_bytes_per_token),
        "preemptions": result.preemptions,
        "token_budget": central.account.deployment.batching.token_budget,
        "roofline_only": roofline.words(central.account.tables),
        "extrapolated": list(result.extrapolated),
        "usage": _usage(runs),
    }


def power_w(run: Run) -> float:
    """Mean power of all accelerators of the run, without their nodes."""
    return sum(line.accelerator_w * line.time_s for line in power_states.lines(run.account)) / run.result.span_s


def _usage(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Amounts per request with their ends over the draws; none where there is one draw."""
    drawn = [{(r.component, r.resource): r.amount for r in run.usage} for run in runs]
    rows = []
    for r in runs[0].usage:
        values = [d.get((r.component, r.resource), 0.0) for d in drawn]
        known = [v for v in values if v is not None]
        lo, hi = drawn_ends(known) if len(known) == len(values) else (None, None)
        rows.append(
            {
                "component": str(r.component),
                "resource": str(r.resource),
                "amount": r.amount,
                "lo": lo,
                "hi": hi,
                "evidence": str(r.evidence),
                "reason": r.reason,
            }
        )
    return rows
