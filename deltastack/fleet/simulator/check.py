"""What can be served, said before the run: malformed input, requests that never fit, grids that are left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import CapacityError, EvidenceError, ParamsError, WorkloadError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.operators.tables import OperatorTables
    from deltastack.fleet.simulator.interface import Config, Requests

_COLUMNS = (
    "arrival_s",
    "images",
    "image_tokens",
    "prompt_tokens",
    "output_tokens",
    "cached_tokens",
    "cached_images",
    "delay_s",
)


def check(tables: OperatorTables, requests: Requests, config: Config) -> None:
    """Refuse what cannot be simulated, naming every breach.

    Raises:
        ParamsError: A configuration that no engine accepts.
        WorkloadError: Columns of different lengths, or values outside their domain.
        CapacityError: Requests that never fit into memory or context.
        EvidenceError: Images for a model without encoder times.
    """
    _raise(ParamsError, "the configuration does not hold", _config_breaches(config))
    _raise(WorkloadError, "the requests do not hold", _request_breaches(requests))
    _raise(CapacityError, "the requests do not fit", misfits(tables, requests, config))
    if not tables.multimodal and np.any(requests.images > requests.cached_images):
        count = int(np.count_nonzero(requests.images > requests.cached_images))
        raise EvidenceError(
            f"no encoder times for {tables.model} on {tables.platform}, but {count} requests have images to encode; "
            f"choose a model with a visual encoder, or a workload of text"
        )


def _raise(error: type[Exception], what: str, breaches: list[str]) -> None:
    """Raise one error for all breaches, if there are any."""
    if breaches:
        raise error(f"{what}: " + "; ".join(breaches))


def _config_breaches(config: Config) -> list[str]:
    """What is wrong with the configuration alone."""
    positive = ("replicas", "token_budget", "encoder_budget", "max_sequences", "kv_capacity_tokens")
    times = ("host_step_s", "host_sequence_s", "host_visual_token_s", "sleep_timeout_s", "cold_start_s")
    counts = (*times, "encoder_pool", "clients", "kv_bins", "pack_tokens")
    choices = {
        "router": ("round_robin", "least_loaded", "packed"),
        "policy": ("mixed", "prefill_first"),
        "kv_policy": ("on_demand", "reserve"),
    }
    found = [f"{name} = {getattr(config, name)}, must be at least 1" for name in positive if getattr(config, name) < 1]
    found += [f"{name} = {getattr(config, name)}, must not be negative" for name in counts if not getattr(config, name) >= 0]
    for name, allowed in choices.items():
        if getattr(config, name) not in allowed:
            found.append(f"{name} = {getattr(config, name)!r}, must be one of {', '.join(allowed)}")
    if config.policy == "mixed" and config.token_budget < config.max_sequences:
        found.append(f"token_budget = {config.token_budget} is below max_sequences = {config.max_sequences}")
    return found


def _request_breaches(requests: Requests) -> list[str]:
    """What is wrong with the columns of the workload."""
    sizes = {name: getattr(requests, name).shape for name in _COLUMNS}
    if len(set(sizes.values())) > 1:
        return ["columns differ in shape: " + ", ".join(f"{name} {shape}" for name, shape in sizes.items())]
    if requests.arrival_s.ndim != 1 or requests.arrival_s.size == 0:
        return [f"expected one or more rows, found shape {requests.arrival_s.shape}"]
    rules: dict[str, NDArray[np.bool_]] = {
        "arrival_s must be finite, not negative and in order": ~_ordered(requests.arrival_s),
        "delay_s must be finite and not negative": ~((requests.delay_s >= 0) & (requests.delay_s < np.inf)),
        "images must not be negative": requests.images < 0,
        "image_tokens must be at least one an image, at most the prompt, and 0 without images": (
            (requests.image_tokens < requests.images)
            | (requests.image_tokens > requests.prompt_tokens)
            | ((requests.images == 0) & (requests.image_tokens > 0))
        ),
        "prompt_tokens must be at least 1": requests.prompt_tokens < 1,
        "output_tokens must be at least 1": requests.output_tokens < 1,
        "cached_tokens must lie in 0 .. prompt_tokens": _outside(requests.cached_tokens, requests.prompt_tokens),
        "cached_images must lie in 0 .. images": _outside(requests.cached_images, requests.images),
    }
    return [f"{rule} ({int(bad.sum())} rows, first {int(np.argmax(bad))})" for rule, bad in rules.items() if bad.any()]


def _ordered(arrival_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(R,) whether each arrival is a clock time and not before the one above."""
    before = np.concatenate([[0.0], arrival_s[:-1]])
    return (arrival_s >= before) & (arrival_s < np.inf)


def _outside(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(R,) whether a part is negative or more than its whole."""
    return (part < 0) | (part > whole)


def misfits(tables: OperatorTables, requests: Requests, config: Config) -> list[str]:
    """Why some requests can never be served, and what would fit; empty when all can.

    Args:
        tables: Only the context limit of the model is read.
        requests: Prompt and output tokens are read.
        config: Only the KV capacity is read.

    A request needs prompt + output tokens of memory and of context, with either KV policy.
    """
    need = requests.prompt_tokens + requests.output_tokens
    limits = {"KV memory": config.kv_capacity_tokens, f"the context of {tables.model}": tables.context_limit_tokens}
    found = []
    for what, limit in limits.items():
        over = need > limit
        if over.any():
            worst = int(np.argmax(need))
            prompt, output = int(requests.prompt_tokens[worst]), int(requests.output_tokens[worst])
            found.append(
                f"{int(over.sum())} of {need.size} requests exceed {what} of {limit} tokens; row {worst} needs the most, "
                f"{prompt + output} ({prompt} prompt + {output} output); {limit} tokens serve the other "
                f"{int((~over).sum())}, {prompt + output} would serve all"
            )
    return found


def extrapolated(
    tables: OperatorTables, requests: Requests, steps_by_tokens: NDArray[np.int64], peak_batch: int
) -> tuple[str, ...]:
    """The axes on which a run may have read an operator time off its grid, each with its range and the grid's."""
    tokens = np.flatnonzero(steps_by_tokens)
    prompt, most = requests.prompt_tokens, int(tokens[-1])
    computed = np.maximum(prompt - requests.cached_tokens, 1)
    ranges = {
        "token_n": (int(tokens[0]), most, tables.token_n),
        "logits_n": (1, peak_batch, tables.logits_n),
        "prefill_chunk": (min(int(computed.min()), most), min(int(computed.max()), most), tables.prefill_chunk),
        "prefill_prefix": (0, int(prompt.max()) - 1, tables.prefill_prefix),
        "decode_batch": (1, peak_batch, tables.decode_batch),
        "decode_kv": (int(prompt.min()) + 1, int((prompt + requests.output_tokens).max()) - 1, tables.decode_kv),
    }
    seen = requests.images > requests.cached_images
    if seen.any():
        size = requests.image_tokens[seen] / requests.images[seen]
        ranges["encoder_tokens"] = (int(np.floor(size.min())), int(np.ceil(size.max())), tables.encoder_tokens)
    return tuple(
        f"{axis}: {low} .. {high}, grid {int(grid[0])} .. {int(grid[-1])}"
        for axis, (low, high, grid) in ranges.items()
        if low < grid[0] or high > grid[-1]
    )
