"""The device of the accelerator bench: a GPU, or this processor as its small twin."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from deltastack.accelerator import energy
from deltastack.errors import PreflightError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor


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
        """The board's name, by NVML where it answers: so that no context is opened for a name."""
        if not self.cuda:
            return "cpu"
        board, _ = energy.open_board()
        return board.name() if isinstance(board, energy.Nvml) else str(torch.cuda.get_device_name())

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

    def pinned(self, tensor: Tensor) -> Tensor:
        """A copy in host memory that the board reads by itself; plain host memory on a processor."""
        here = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=self.cuda)
        return here.copy_(tensor)

    def captured(self, step: Callable[[], Any], stream: Any = None) -> Callable[[], None]:
        """``step`` as a CUDA graph; on a processor a plain call.

        A graph replays the same memory: what ``step`` reads must stay where it was. Its kernels belong to ``stream``'s partition.
        """
        if not self.cuda:

            def plain() -> None:
                step()

            return plain
        cuda: Any = torch.cuda  # its streams have no types
        side = stream or cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):  # lazy set-up of libraries must not be captured
                step()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, stream=stream):
                kept = step()
        except RuntimeError:
            torch.cuda.set_stream(before)  # a capture that breaks does not always leave its stream
            raise

        def replay(_held: object = kept) -> None:
            graph.replay()

        return replay

    def healthy(self) -> bool:
        """Whether the board still answers: after an illegal access every later call of the process fails."""
        try:
            self.synchronise()
        except RuntimeError:
            return False
        return True


def find(name: str) -> Device:
    """The device of that name.

    Raises:
        PreflightError: No GPU that torch can use, or another name.
    """
    if name not in {"cuda", "cpu"}:
        raise PreflightError(f"no device '{name}'; there are: cuda, cpu")
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # looking for a GPU must not open it
    if name == "cuda" and not torch.cuda.is_available():
        raise PreflightError("no GPU that torch can use here; run it with --device cpu, at small size")
    return Device(name)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No gradients. Not ``inference_mode``: sparse kernels and in-place writes of later sessions take plain tensors."""
    with torch.no_grad():
        yield
