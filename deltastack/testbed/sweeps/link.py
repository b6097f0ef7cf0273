"""The link between two processes on one machine: shared memory and two semaphores.

A message is copied into the shared block, the other side is woken, copies it out and answers with a message of the same size.
One way is half of the round trip. It is the analogue of a link between chiplets or accelerators: what one hand-over of
activations costs here, in seconds and bytes.
"""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing import shared_memory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deltastack.errors import EvidenceError

if TYPE_CHECKING:
    from multiprocessing.synchronize import Semaphore

WAIT_S = 60.0


class Hop(NamedTuple):
    """One message size: median and 99th percentile of one way [s], and bytes a second at the median."""

    size_byte: int
    messages: int
    p50_s: float
    p99_s: float

    @property
    def byte_per_s(self) -> float:
        """Bytes over the median time."""
        return self.size_byte / self.p50_s


def sweep(sizes_byte: tuple[int, ...], *, messages: int) -> list[Hop]:
    """``messages`` round trips of every size between this process and a fresh one.

    Raises:
        EvidenceError: The other process did not answer.
    """
    context = multiprocessing.get_context("spawn")
    there, back = context.Semaphore(0), context.Semaphore(0)
    block = shared_memory.SharedMemory(create=True, size=max(sizes_byte))
    echo = context.Process(target=_echo, args=(block.name, there, back, sizes_byte, messages), name="link")
    try:
        echo.start()
        _wait(back)
        found = [_size(block, there, back, size, messages) for size in sizes_byte]
        echo.join(WAIT_S)
    finally:
        echo.kill()
        block.close()
        block.unlink()
    return found


def _size(block: shared_memory.SharedMemory, there: Semaphore, back: Semaphore, size: int, messages: int) -> Hop:
    message, answer = bytes(size), bytearray(size)
    memory: Any = block.buf
    seconds = []
    for _ in range(messages):
        began = time.perf_counter()
        memory[:size] = message
        there.release()
        _wait(back)
        answer[:] = memory[:size]
        seconds.append((time.perf_counter() - began) / 2)
    p50, p99 = np.quantile(seconds, [0.5, 0.99])
    return Hop(size, messages, float(p50), float(p99))


def _echo(name: str, there: Semaphore, back: Semaphore, sizes_byte: tuple[int, ...], messages: int) -> None:
    """The other side: copy out, copy back."""
    block = shared_memory.SharedMemory(name=name)
    memory: Any = block.buf
    back.release()
    for size in sizes_byte:
        message = bytearray(size)
        for _ in range(messages):
            _wait(there)
            message[:] = memory[:size]
            memory[:size] = message
            back.release()
    del memory
    block.close()


def _wait(semaphore: Semaphore) -> None:
    if not semaphore.acquire(timeout=WAIT_S):
        raise EvidenceError(f"the other end of the link did not answer within {WAIT_S:.0f} s")
