"""Joules of one board by NVML's own counter, read just after it moved at both ends of a window.

The counter moves every few tens of milliseconds, so that a window ends after its work: what the board took in between is
taken off, at the power of the next move. A window that saw too few moves is refused: its ends would be uncertain by more
than the reading is worth. Clocks and throttling stand beside each window, because a run at another clock is another experiment.

Source: NVML API reference, nvmlDeviceGetTotalEnergyConsumption; refresh as measured by this project on an H100, 2026-11-26.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_MOVES = 10
"""With fewer moves of the counter a window's end is too large a part of it."""
_PATIENCE_S = 0.5
_HELD_BACK = 0x8 | 0x20 | 0x40 | 0x80
"""Slowed by hardware, heat or the power brake. A cap at the board's own power limit is how it works at full load."""
_POWER_CAP = 0x4


class Board(Protocol):
    """What is read of a board."""

    def energy_mj(self) -> int:
        """Cumulative millijoules."""
        ...

    def state(self) -> tuple[float, int]:
        """Clock of the SMs [Hz], and the bits of what holds clocks back."""
        ...


class Nvml:
    """The first board that NVML knows."""

    def __init__(self) -> None:
        """Open it; raises what the binding raises."""
        import pynvml

        pynvml.nvmlInit()
        self._nvml: Any = pynvml
        self._handle = _handle(pynvml, os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip())
        self.energy_mj()

    def energy_mj(self) -> int:
        """Cumulative millijoules."""
        return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))

    def state(self) -> tuple[float, int]:
        """Clock of the SMs [Hz], and the bits of what holds clocks back."""
        clock = self._nvml.nvmlDeviceGetClockInfo(self._handle, self._nvml.NVML_CLOCK_SM)
        names = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
        read = next(getattr(self._nvml, n) for n in names if hasattr(self._nvml, n))  # renamed between versions
        return 1e6 * clock, int(read(self._handle))

    def name(self) -> str:
        """The board's name."""
        return _text(self._nvml.nvmlDeviceGetName(self._handle))

    def limit_w(self) -> float:
        """The power that the board keeps to [W]."""
        return float(self._nvml.nvmlDeviceGetEnforcedPowerLimit(self._handle)) / 1e3

    def driver(self) -> str:
        """The driver's version."""
        return _text(self._nvml.nvmlSystemGetDriverVersion())


def _handle(nvml: Any, named: str) -> Any:
    """The board that CUDA calls the first."""
    if named.startswith("GPU-"):
        return nvml.nvmlDeviceGetHandleByUUID(named)
    return nvml.nvmlDeviceGetHandleByIndex(int(named) if named.isdigit() else 0)


def _text(answer: str | bytes) -> str:
    return answer.decode() if isinstance(answer, bytes) else str(answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """One window."""

    joules: float | None
    seconds: float
    """Between the two moves of the counter that bound the window; the work repeats inside."""
    reason: str | None
    clock_hz: float | None = None
    throttled: bool | None = None
    """Slowed by hardware or heat at the window's end."""
    capped: bool | None = None
    """At the power limit at the window's end."""


def open_board() -> tuple[Board | None, str | None]:
    """The board, or why there is none."""
    try:
        return Nvml(), None
    except Exception as error:  # noqa: BLE001 - the binding raises its own tree, and ImportError
        return None, f"NVML: no board that it can read ({type(error).__name__})"


def metered(
    board: Board | None, why: str | None, work: Callable[[], None], clock: Callable[[], float] = time.perf_counter
) -> Energy:
    """Joules and seconds of ``work``, which must end with a wait for the device.

    Args:
        board: What is read; None gives no joules.
        why: The reason that there is no board.
        work: What is metered.
        clock: Seconds.
    """
    if board is None:
        began = clock()
        work()
        return Energy(joules=None, seconds=clock() - began, reason=why)
    first, began = _moved(board, clock)
    work()
    ended = clock()
    hz, held = board.state()
    seen: dict[str, Any] = {"clock_hz": hz, "throttled": bool(held & _HELD_BACK), "capped": bool(held & _POWER_CAP)}
    last, at = _moved(board, clock)
    after, later = _moved(board, clock)
    moves = (ended - began) / max(later - at, 1e-6)
    if moves < LEAST_MOVES:
        reason = f"the counter of joules moved about {moves:.0f} times in the window, wanted {LEAST_MOVES}: more sessions a run"
        return Energy(joules=None, seconds=ended - began, reason=reason, **seen)
    tail = (after - last) / (later - at) * (at - ended) if later > at else 0.0
    return Energy(joules=(last - first - tail) / 1e3, seconds=ended - began, reason=None, **seen)


def watts(board: Board, seconds: float, wait: Callable[[float], None] = time.sleep) -> float:
    """Mean power over about so many seconds of doing nothing [W], between two moves of the counter."""
    first, began = _moved(board, time.perf_counter)
    wait(seconds)
    last, ended = _moved(board, time.perf_counter)
    return (last - first) / 1e3 / (ended - began)


def _moved(board: Board, clock: Callable[[], float]) -> tuple[int, float]:
    """The counter just after it moved, and when."""
    before, limit = board.energy_mj(), clock() + _PATIENCE_S
    while clock() < limit:
        now = board.energy_mj()
        if now != before:
            return now, clock()
    return before, clock()
