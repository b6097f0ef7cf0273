"""Joules of one board by NVML's own counter, read just after it moved at both ends of a window.

The counter moves every few tens of milliseconds. A window that saw too few moves is refused: its ends would be uncertain by more
than the reading is worth. Clocks and throttling stand beside each window, because a run at another clock is another experiment.

Source: NVML API reference, nvmlDeviceGetTotalEnergyConsumption; refresh as measured by this project on an H100, 2026-11-26.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_MOVES = 20
"""With fewer moves of the counter the window's joules are uncertain by more than 5 %."""
_PATIENCE_S = 0.5


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
        self._handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        self.energy_mj()

    def energy_mj(self) -> int:
        """Cumulative millijoules."""
        return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))

    def state(self) -> tuple[float, int]:
        """Clock of the SMs [Hz], and the bits of what holds clocks back."""
        clock = self._nvml.nvmlDeviceGetClockInfo(self._handle, self._nvml.NVML_CLOCK_SM)
        return 1e6 * clock, int(self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle))

    def driver(self) -> str:
        """The driver's version."""
        return str(self._nvml.nvmlSystemGetDriverVersion())


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """One window."""

    joules: float | None
    seconds: float
    """Between the two moves of the counter that bound the window; the work repeats inside."""
    reason: str | None
    clock_hz: float | None = None
    throttled: bool | None = None


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
    last, _ = _moved(board, clock)
    moves = (ended - began) / max(_period(board, clock), 1e-6)
    if moves < LEAST_MOVES:
        reason = f"the counter of joules moved about {moves:.0f} times in the window, wanted {LEAST_MOVES}: more sessions a run"
        return Energy(joules=None, seconds=ended - began, reason=reason, clock_hz=hz, throttled=held > 1)
    return Energy(joules=(last - first) / 1e3, seconds=ended - began, reason=None, clock_hz=hz, throttled=held > 1)


def _moved(board: Board, clock: Callable[[], float]) -> tuple[int, float]:
    """The counter just after it moved, and when."""
    before, limit = board.energy_mj(), clock() + _PATIENCE_S
    while clock() < limit:
        now = board.energy_mj()
        if now != before:
            return now, clock()
    return before, clock()


def _period(board: Board, clock: Callable[[], float]) -> float:
    """Seconds between two moves of the counter."""
    _, a = _moved(board, clock)
    _, b = _moved(board, clock)
    return b - a
