"""The device of the accelerator bench: a GPU, or this processor as its small twin."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from deltastack.errors import PreflightError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Device:
    """``cuda`` or ``cpu``."""

    name: str

    @property
    def cuda(self) -> bool:
        """Whether it is a GPU."""
        return self.name == "cuda"

    @property
    def dtype(self) -> torch.dtype:
        """Numbers of weights and activations."""
        return torch.bfloat16 if self.cuda else torch.float32

    @property
    def title(self) -> str:
        """The board's name."""
        return str(torch.cuda.get_device_name()) if self.cuda else "cpu"

    def settle(self) -> None:
        """One thread on a processor: the twin shows that the code runs, and must not wait for threads."""
        if not self.cuda:
            torch.set_num_threads(1)

    def synchronise(self) -> None:
        """Wait until queued work is done."""
        if self.cuda:
            torch.cuda.synchronize()

    def memory_byte(self) -> float | None:
        """The most bytes held since ``forget_peak``; None on a processor."""
        return float(torch.cuda.max_memory_allocated()) if self.cuda else None

    def forget_peak(self) -> None:
        """Begin to look for a new peak."""
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function`` fused by torch.compile on a GPU, as it is on a processor."""
        return torch.compile(function, dynamic=True) if self.cuda else function

    def captured(self, step: Callable[[], Any]) -> Callable[[], None]:
        """``step`` as a CUDA graph; on a processor a plain call.

        A graph replays the same memory: what ``step`` reads must stay where it was.
        """
        if not self.cuda:

            def plain() -> None:
                step()

            return plain
        cuda: Any = torch.cuda  # its streams have no types
        side = cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):  # lazy set-up of libraries must not be captured
                step()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            kept = step()

        def replay(_held: object = kept) -> None:
            graph.replay()

        return replay


def find(name: str) -> Device:
    """The device of that name.

    Raises:
        PreflightError: No GPU that torch can use, or another name.
    """
    if name not in {"cuda", "cpu"}:
        raise PreflightError(f"no device '{name}'; there are: cuda, cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise PreflightError("no GPU that torch can use here; run it with --device cpu, at small size")
    return Device(name)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No gradients."""
    with torch.inference_mode():
        yield
