"""What a counter is: cumulative, so that a window is the difference of two reads.

Because every counter only ever grows, windows nest without knowing of each other. A counter opens or says
why it cannot; it never returns a made-up value.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Quantity(StrEnum):
    """What a window can hold; the suffix is the unit."""

    WALL_S = "wall_s"
    RUN_DELAY_S = "run_delay_s"
    """Time this thread was runnable but waited for a processor (Linux schedstat)."""
    CPU_S = "cpu_s"
    """User and system time of this process and its finished children."""
    INSTRUCTIONS = "instructions"
    IO_READ_BYTE = "io_read_byte"
    """Bytes this process caused to be fetched from the block layer (0 when the page cache had them)."""
    IO_WRITE_BYTE = "io_write_byte"
    MEMORY_BYTE_S = "memory_byte_s"
    """Integral of the proportional set size over the window."""
    MEMORY_PEAK_BYTE = "memory_peak_byte"
    ENERGY_J = "energy_j"


class Counter(Protocol):
    """One cumulative counter."""

    @property
    def quantity(self) -> Quantity:
        """What it counts."""
        ...

    @property
    def source(self) -> str:
        """Where it reads, in words for the table."""
        ...

    @property
    def reason(self) -> str | None:
        """Why it cannot be read on this machine; None when it can."""
        ...

    def read(self) -> float:
        """The cumulative value now.

        Raises:
            OSError: The counter went away; the window then has no reading, with this as its reason.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCounter:
    """A counter that is one function; ``probe`` says why it cannot be read, or None."""

    quantity: Quantity
    source: str
    reason: str | None
    function: Callable[[], float]

    def read(self) -> float:
        """The cumulative value now."""
        return self.function()
