"""Constants of the engine's host, fitted to measured throughput by simulating the same closed loops.

The time per output token of a run is, to first order in the constants h0 (a step) and h1 (a sequence and step),

    1 / tokens_per_s = accelerator_s + h0 steps + h1 sequence_steps + h2 visual_tokens     each per output token

``accelerator_s``, ``steps`` and ``sequence_steps`` are read off a run at the constants of the last round (more overhead
also changes the schedule, a little), and h0, h1, h2 >= 0 minimise the sum of squared relative errors; three such rounds.
Rows say something of h2, the host's time for a visual token, only if visual tokens a sequence step differ between them.
Rows without images do not, and neither do rows of one image size: h2 then stays as params/fleet.yaml has it.

By hand: 10 ms a token of which 8 ms are the accelerator's, in 1 step of 1 sequence: h0 + h1 = 2 ms.

Source: this project. Assumes: steady rows, equal prompts, output lengths of the stated quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import nnls

from deltastack.fleet import closed_loop, evaluate
from deltastack.fleet.accounting.utilization import Load, load_of
from deltastack.fleet.simulator import simulate_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.calibration.rows import Row
    from deltastack.fleet.evaluate import Prepared
    from deltastack.fleet.settings import FleetParams
    from deltastack.fleet.simulator import Result

ROUNDS = 4
LEAST_SPREAD = 0.05
"""Visual tokens a sequence step must differ by this share of their largest, or h1 and h2 cannot be told apart."""
START = (8e-4, 4e-5)


class Host(NamedTuple):
    """Seconds of the host: for each step, for each sequence in it, and for each visual token."""

    step_s: float
    sequence_s: float
    visual_token_s: float = 0.0


class Run(NamedTuple):
    """What one simulated row gave."""

    tokens_per_s: float
    steps: float
    """Per output token, as the next."""
    sequence_steps: float
    load: Load
    visual_tokens: float = 0.0
    """Per output token."""
    waiting: float = 0.0
    """Share of the time in which the accelerator waits for the host's work on images."""
    waiting_w: float = 0.0
    """Its power meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What a row does not say: the engine's memory and batching, and the accelerators."""

    values: FleetParams
    """Of params/fleet.yaml; batching and memory are read, its host constants are not."""
    platforms: Mapping[str, Platform]

    def prepare(self, row: Row, host: Host) -> Prepared:
        """One replica that serves the row's closed loop.

        Raises:
            CapacityError: The model does not fit.
        """
        base = self.values.deployment.deployment()
        budget = max(base.batching.token_budget or self.platforms[row.platform].token_budget, row.concurrency)
        deployment = replace(
            base,
            model=row.model,
            platform=row.platform,
            precision=row.precision,
            tensor_parallel=row.tensor_parallel,
            replicas=1,
            host_step_s=host.step_s,
            host_sequence_s=host.sequence_s,
            host_visual_token_s=host.visual_token_s,
            batching=replace(base.batching, max_sequences=row.concurrency, token_budget=budget),
        )
        outputs = closed_loop.lengths(row.mean_output_tokens, row.quantiles, closed_loop.count(row.concurrency))
        served = closed_loop.requests(outputs, prompt_tokens=row.prompt_tokens, image_tokens=row.image_tokens)
        made = evaluate.prepare(deployment, served, self.platforms[row.platform], self.values)
        return replace(made, config=replace(made.config, clients=row.concurrency))


def simulate_rows(rows: Sequence[Row], host: Host, house: House, *, threads: int = 2) -> list[Run]:
    """Every row's closed loop with these constants.

    Raises:
        CapacityError: A row whose model or requests do not fit.
    """
    made = [house.prepare(row, host) for row in rows]
    results = simulate_each([(m.tables, m.requests, m.config) for m in made], lambda result: result, threads=threads)
    return [_run(m, result, house.values) for m, result in zip(made, results, strict=True)]


def start(house: House) -> Host:
    """Where a fit begins."""
    return Host(*START, visual_token_s=house.values.deployment.host_visual_token_s)


def _run(made: Prepared, result: Result, values: FleetParams) -> Run:
    tokens = float(made.requests.output_tokens.sum())
    return Run(
        tokens_per_s=closed_loop.steady_tokens_per_s(result, made.requests, made.config.clients),
        steps=result.steps / tokens,
        sequence_steps=result.sequence_steps / tokens,
        load=load_of(result, made.tables, peak_flop_per_s=made.platform.peak(made.deployment.precision)),
        visual_tokens=float(made.requests.image_tokens.sum()) / tokens,
        waiting=result.image_host_s / (result.span_s - result.idle_s),
        waiting_w=values.power.idle_w(made.platform),
    )


def solve(rows: Sequence[Row], runs: Sequence[Run], host: Host) -> Host:
    """The constants that the linear form above asks for, given runs at ``host``."""
    measured_s = np.array([1 / r.output_tokens_per_s for r in rows])
    counts = np.array([(r.steps, r.sequence_steps, r.visual_tokens) for r in runs])
    accelerator_s = np.array([1 / r.tokens_per_s for r in runs]) - counts @ np.array(host)
    if not _tells_visual_tokens(counts):
        accelerator_s, counts = accelerator_s + counts[:, 2] * host.visual_token_s, counts[:, :2]
    found, _ = nnls(counts / measured_s[:, None], 1 - accelerator_s / measured_s)
    return Host(float(found[0]), float(found[1]), float(found[2]) if found.size > len(START) else host.visual_token_s)


def _tells_visual_tokens(counts: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    visual = counts[:, 2] / np.maximum(counts[:, 1], 1e-12)
    return bool(np.ptp(visual) > LEAST_SPREAD * visual.max())


def fit(rows: Sequence[Row], house: House, first: Sequence[Run] | None = None) -> tuple[Host, list[Run]]:
    """The constants, and the rows' runs with them.

    Args:
        rows: Steady ones.
        house: What the rows do not say.
        first: Runs of the same rows at ``START``, where they are at hand.

    Raises:
        CapacityError: As ``simulate_rows``.
    """
    host = start(house)
    runs = simulate_rows(rows, host, house) if first is None else list(first)
    for _ in range(ROUNDS - 1):
        host = solve(rows, runs, host)
        runs = simulate_rows(rows, host, house)
    return host, runs
