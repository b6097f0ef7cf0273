"""Watts of a board that does nothing: weights held, weights given back, context ended; and how long each takes to wake.

A process holds the context and the weights, and this one, which has no context, reads the counter of joules. A serving replica
sleeps either by giving its weights back or by ending its process: only reading both says which of them saves watts.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from deltastack.accelerator import energy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deltastack.accelerator.energy import Board

HELD, BACK, ENDED = "weights_held", "weights_given_back", "context_ended"
STATES = (HELD, BACK, ENDED)
LEAST_BUDGET_S = 240.0
"""With less time the starts need all of it."""
_WINDOWS, _WINDOW_S, _SETTLE_S = 3, 0.7, 4.0
"""Four seconds after its last process ended an H100 still took 17 W more than later (measured by this project, 2026-11-26)."""
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Watts by state, one number a window; seconds of waking up; or why there are none."""

    watts: dict[str, list[float]] = field(default_factory=dict)
    wake_s: dict[str, float] = field(default_factory=dict)
    """``process_s`` from its start to its first instruction with torch, ``context_s``, and ``weights_s`` to fill the weights."""
    reason: str | None = None


def once(path: Path, observe_it: Callable[[], Idle]) -> Idle:
    """What was observed before, else now; written down."""
    if path.is_file():
        return Idle(**json.loads(path.read_text()))
    found = observe_it()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(found)))
    return found


def observe(device: str, byte: int, board: Board | None, why: str | None, wait: Callable[[float], None] = time.sleep) -> Idle:
    """Hold ``byte`` of weights in a process of its own, and read the board in each state.

    Args:
        device: Where the process holds them.
        byte: How many.
        board: What is read.
        why: The reason that there is no board.
        wait: Lets seconds pass.
    """
    if board is None:
        return Idle(reason=why)
    here, there = multiprocessing.get_context("spawn").Pipe()
    holder = multiprocessing.get_context("spawn").Process(target=hold, args=(there, device, byte, time.monotonic()))
    holder.start()
    there.close()
    watts: dict[str, list[float]] = {}
    try:
        wake = _told(here)
        watts[HELD] = _read(board, wait)
        here.send("give back")
        _told(here)
        watts[BACK] = _read(board, wait)
        here.send("end")
        holder.join(_PATIENCE_S)
        wait(_SETTLE_S)
        watts[ENDED] = _read(board, wait)
    except (EOFError, OSError, TimeoutError) as error:
        return Idle(reason=f"the process that holds the weights ended early ({type(error).__name__})")
    finally:
        if holder.is_alive():
            holder.kill()
        holder.join()
    return Idle(watts=watts, wake_s=wake)


def hold(pipe: Any, device: str, byte: int, started: float) -> None:
    """Body of the process: open a context, hold weights, give them back, end; each on being told."""
    import torch

    def settled() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        return time.monotonic()

    first = settled()
    torch.zeros(1, device=device)
    second = settled()
    weights = torch.empty(byte, dtype=torch.uint8, device=device).fill_(1)
    pipe.send({"process_s": first - started, "context_s": second - first, "weights_s": settled() - second})
    pipe.recv()
    del weights
    if device == "cuda":
        torch.cuda.empty_cache()
    settled()
    pipe.send({})
    pipe.recv()


def _told(pipe: Any) -> dict[str, float]:
    if not pipe.poll(_PATIENCE_S):
        raise TimeoutError
    found: dict[str, float] = pipe.recv()
    return found


def _read(board: Board, wait: Callable[[float], None]) -> list[float]:
    return [energy.watts(board, _WINDOW_S, wait) for _ in range(_WINDOWS)]
