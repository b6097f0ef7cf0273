"""simulate(tables, requests, config) -> Result, and the same for many cells at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np

from deltastack.fleet.simulator.check import check, extrapolated
from deltastack.fleet.simulator.grids import prepare, read
from deltastack.fleet.simulator.interface import Result
from deltastack.fleet.simulator.loop import run
from deltastack.fleet.simulator.state import allocate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from deltastack.fleet.operators.tables import OperatorTables
    from deltastack.fleet.simulator.interface import Config, Requests
    from deltastack.fleet.simulator.state import State

    Cell: TypeAlias = tuple[OperatorTables, Requests, Config]

T = TypeVar("T")


def simulate(tables: OperatorTables, requests: Requests, config: Config) -> Result:
    """What serving ``requests`` takes, by component.

    A step with n tokens, b' emitting sequences, chunks (c, p) and b decoding sequences of mean context k takes

        encoder_s(images that begin in the chunks, inline) + linear_s(n) + logits_s(b') + sum prefill_attention_s(c, p)
        + decode_attention_s(b, k) + host_step_s + host_sequence_s (b + chunks) + host_visual_token_s (visual tokens)

    and all its tokens appear at its end. An evicted request computes its prompt and what it had emitted again, except
    ``cached_tokens``; its images are not encoded again. Images are encoded before the step whose chunk reaches them, up to
    ``encoder_budget`` visual tokens a step; there the step's prompts end.

    Raises:
        ParamsError: A configuration that no engine accepts.
        WorkloadError: Requests that are malformed.
        CapacityError: Requests that can never be served; the message says what would fit.
        EvidenceError: Images for a model without encoder times.

    Source: this project; the scheduling follows the documented defaults of vLLM v1 (``mixed``) and SGLang (``prefill_first``).
    """
    check(tables, requests, config)
    grids = prepare(tables, config.token_budget, config.max_sequences)
    state = allocate(requests, config, 0.0)
    run(state, grids)
    if config.kv_bins > 0:
        span_s = float(state.replicas["clock_s"].max())
        state = allocate(requests, config, span_s / config.kv_bins)
        run(state, grids)
    return _result(tables, requests, config, state)


def simulate_each(cells: Iterable[Cell], keep: Callable[[Result], T], *, threads: int = 2) -> list[T]:
    """What ``keep`` takes from the result of every cell, in the order given.

    The loop runs without the interpreter's lock, so that threads share the cores; a result is dropped as soon as ``keep``
    has seen it: a million requests leave about 50 MB.

    Raises:
        DeltastackError: As ``simulate``, for the first cell that fails.
    """
    with ThreadPoolExecutor(max_workers=threads) as pool:
        return list(pool.map(lambda cell: keep(simulate(*cell)), cells))


def simulate_many(cells: Iterable[Cell], *, threads: int = 2) -> list[Result]:
    """The whole result of every cell, in the order given.

    Raises:
        DeltastackError: As ``simulate``, for the first cell that fails.
    """
    return simulate_each(cells, lambda result: result, threads=threads)


def _result(tables: OperatorTables, requests: Requests, config: Config, state: State) -> Result:
    """The sums by component and everything else that was recorded."""
    total, rows, steps = state.total[0], state.requests, state.steps_by_tokens
    seen = np.flatnonzero(steps)
    linear_s, gemm_s = (read(tables.token_n, values, seen) @ steps[seen] for values in (tables.linear_s, tables.linear_gemm_s))
    gaps, encoder_gaps = _sorted(state.gaps[: total["gaps"]]), _sorted(state.encoder_gaps[: total["encoder_gaps"]])
    bin_s = float(state.plan[0]["bin_s"])
    return Result(
        first_token_s=rows["first_token_s"].copy(),
        finish_s=rows["finish_s"].copy(),
        start_s=rows["start_s"].copy(),
        replica=rows["replica"].copy(),
        encoder_s=float(total["encoder_s"]),
        attention_s=float(linear_s[0] + total["prefill_attention_s"] + total["decode_attention_s"]),
        ffn_s=float(linear_s[1]),
        other_s=float(linear_s[2] + total["logits_s"]),
        host_s=float(
            config.host_step_s * total["steps"] + config.host_sequence_s * total["sequence_steps"] + total["image_host_s"]
        ),
        image_host_s=float(total["image_host_s"]),
        idle_s=float(gaps["length_s"].sum()),
        encoder_idle_s=float(encoder_gaps["length_s"].sum()) if config.encoder_pool else 0.0,
        asleep_s=float(total["asleep_s"]),
        waking_s=float(total["waking_s"]),
        cold_starts=int(total["cold_starts"]),
        prefill_attention_s=float(total["prefill_attention_s"]),
        decode_attention_s=float(total["decode_attention_s"]),
        logits_s=float(total["logits_s"]),
        gemm_s=gemm_s,
        prefill_s=float(total["prefill_s"]),
        span_s=float(state.replicas["clock_s"].max()),
        steps=int(total["steps"]),
        decode_sequence_steps=float(total["decode_sequence_steps"]),
        decode_steps=int(total["decode_steps"]),
        preemptions=int(total["preemptions"]),
        sequence_steps=float(total["sequence_steps"]),
        prefill_tokens=float(total["prefill_tokens"]),
        prefill_prefix_tokens=float(total["prefill_prefix_tokens"]),
        decode_kv_token_steps=float(total["decode_kv_token_steps"]),
        encoded_images=int(total["images"]),
        steps_by_tokens=steps,
        peak_batch=int(total["peak_batch"]),
        extrapolated=extrapolated(tables, requests, steps, int(total["peak_batch"])),
        kv_token_s=float(total["kv_token_s"]),
        kv_peak_tokens=state.replicas["peak"].copy(),
        kv_bins_tokens=state.kv_bins / bin_s if bin_s > 0 else state.kv_bins,
        idle_gap_s=gaps["length_s"].copy(),
        idle_gap_start_s=gaps["start_s"].copy(),
        idle_gap_replica=gaps["server"].copy(),
        encoder_gap_s=encoder_gaps["length_s"].copy(),
        encoder_gap_start_s=encoder_gaps["start_s"].copy(),
    )


def _sorted(gaps: NDArray[np.void]) -> NDArray[np.void]:
    """The gaps in order of server, then of time."""
    return gaps[np.argsort(gaps["server"], kind="stable")]
