"""The conditions of runs, and the refusal to compare runs that are unlike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deltastack.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from deltastack.importers.run import Run

FIXED = ("model", "engine", "hardware", "precision", "speculation", "parallel", "dataset", "concurrency", "request_rate", "load")
"""Conditions that must be equal in all runs that are compared, unless the difference is named."""
LENGTH = 0.05
"""Mean input tokens a request that differ by more are another workload."""
INPUT = "input_length"
UNLIMITED = "unlimited"


def refuse_unlike(runs: Sequence[Run], differs: Collection[str] = ()) -> None:
    """Refuse runs of different tools, models, engines, loads, hardware or workloads.

    A condition that one of the runs does not state is no difference; but a number of requests under way is another load than a
    rate of arrivals.

    Args:
        runs: All runs that will be compared, repeats too.
        differs: Conditions in which they may differ.

    Raises:
        InputError: A name that is no condition, or runs that are unlike; names what differs, where, and the flag.
    """
    unknown = sorted(set(differs) - {*FIXED, INPUT})
    if unknown:
        raise InputError(f"--differs {unknown[0]}: no such condition; there are {', '.join((*FIXED, INPUT))}")
    tools = {r.tool for r in runs}
    if len(tools) > 1:
        raise InputError(
            f"results of different tools ({', '.join(sorted(tools))}): they count differently; measure with one tool"
        )
    faults = [w for w in (_kinds_of_load(runs),) if w is not None and "load" not in differs]
    faults += [w for name in (*FIXED, INPUT) if name not in differs and (w := _difference(name, runs)) is not None]
    if faults:
        names = " ".join(f"--differs {name}" for name, _ in faults)
        raise InputError(f"unlike runs: {'; '.join(w for _, w in faults)}; measure again alike, or name the difference: {names}")


def _difference(name: str, runs: Sequence[Run]) -> tuple[str, str] | None:
    """A condition in which runs differ, and the words for it."""
    stated = [(r, _value(name, r)) for r in runs]
    there = [(r, v) for r, v in stated if v is not None]
    for run, value in there[1:]:
        first, was = there[0]
        if _unlike(name, was, value):
            return name, f"{name} {_shown(was)} in {first.file}, {_shown(value)} in {run.file}"
    return None


def _kinds_of_load(runs: Sequence[Run]) -> tuple[str, str] | None:
    """Runs of which one states a concurrency and no rate, and another a rate and no concurrency."""
    pairs = [(r, r.conditions.get("concurrency"), r.conditions.get("request_rate")) for r in runs]
    closed = next(((r, c) for r, c, rate in pairs if c is not None and rate is None), None)
    opened = next(((r, rate) for r, c, rate in pairs if c is None and rate is not None), None)
    if closed is None or opened is None:
        return None
    words = f"load concurrency {_shown(closed[1])} in {closed[0].file}, request_rate {_shown(opened[1])} in {opened[0].file}"
    return "load", words


def _value(name: str, run: Run) -> Any:
    if name != INPUT:
        return run.conditions.get(name)
    tokens, requests = run.conditions.get("input_tokens"), run.conditions.get("requests")
    return tokens / requests if tokens and requests else None


def _unlike(name: str, was: Any, now: Any) -> bool:
    if name == INPUT:
        return bool(abs(now - was) > LENGTH * was)
    if isinstance(was, int | float) and isinstance(now, int | float):
        return float(was) != float(now)
    return str(was) != str(now)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
