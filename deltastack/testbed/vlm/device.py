"""Where the model runs: one code path, three answers. ``torch`` devices are reached only through this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from deltastack.errors import PreflightError

if TYPE_CHECKING:
    from torch import Tensor


class Device(Protocol):
    """A place for tensors."""

    @property
    def name(self) -> str:
        """Its word in the host fingerprint: ``cpu``, or the accelerator's own name."""
        ...

    def place(self, tensor: Tensor) -> Tensor:
        """``tensor`` there; the same object where it is there already."""
        ...

    def synchronise(self) -> None:
        """Wait until everything that was asked of the device is done."""
        ...

    @property
    def waits(self) -> bool:
        """Whether a clock reading must synchronise first."""
        ...


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processor: tensors are where they are, nothing is ever pending."""

    name: str = "cpu"
    waits: bool = False

    def place(self, tensor: Tensor) -> Tensor:
        """``tensor`` itself."""
        return tensor

    def synchronise(self) -> None:
        """Nothing is pending."""


@dataclass(frozen=True, slots=True)
class Cuda:
    """The first CUDA device."""

    name: str
    waits: bool = True

    def place(self, tensor: Tensor) -> Tensor:
        """``tensor`` on the device."""
        return tensor.to("cuda")

    def synchronise(self) -> None:
        """Wait for the device's streams."""
        import torch

        torch.cuda.synchronize()


def device(name: str) -> Device:
    """The device called ``cpu`` or ``cuda``.

    Raises:
        PreflightError: No CUDA device here.
    """
    if name == "cpu":
        return Cpu()
    import torch

    if not torch.cuda.is_available():
        raise PreflightError("device: cuda was asked for, but torch finds no CUDA device; set device: cpu in params/testbed.yaml")
    return Cuda(name=torch.cuda.get_device_name(0))
