"""Elementwise work of the decoder, each function fused with the packing of the product after it: one kernel a cluster.

On a GPU torch.compile makes the kernel; where that fails (no compiler on the machine), the functions run as they are and the
reason is kept, so that a slow base is not taken for a fair one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from deltastack.accelerator.linear import PACKERS, as_it_is

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from deltastack.accelerator.device import Device
    from deltastack.accelerator.settings import Arithmetic

_RECOMPILES = 64
"""Variants of one function that torch.compile keeps; its own limit is 8, beyond which it runs them unfused."""


class Clusters:
    """Fused functions by arithmetic, made when they are first asked for."""

    def __init__(self, device: Device) -> None:
        """Look once whether anything can be fused."""
        self._device = device
        self._made: dict[tuple[Any, ...], Callable[..., Any]] = {}
        self.unfused: str | None = probe() if device.cuda else None
        """Why nothing is fused; None where it is, or on a processor."""

    def packed(self, function: Callable[..., Any], arithmetic: Arithmetic) -> Callable[..., Any]:
        """``function`` whose first answer comes packed: (packed, scale, other answers...); its first argument is the scale."""
        key = (function, PACKERS[arithmetic])
        if key not in self._made:
            bare = key == (alone, as_it_is)  # nothing to fuse
            self._made[key] = fused(*key) if bare else self.plain(fused(*key))
        return self._made[key]

    def plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function`` as one kernel."""
        if self.unfused is not None:
            return function
        key = (function,)
        if key not in self._made:
            self._made[key] = self._device.compiled(function)
        return self._made[key]


def alone(x: Tensor) -> Tensor:
    """Nothing before the packing."""
    return x


def alone_twice(x: Tensor) -> Tensor:
    """What is compiled to see whether anything can be."""
    return x * 2 + 1


def fused(function: Callable[..., Any], pack: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Callable[..., Any]:
    """One function of both."""

    def both(scale: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        found = function(*given)
        if isinstance(found, tuple):
            return (*pack(found[0], scale), *found[1:])
        return pack(found, scale)

    return both


def probe() -> str | None:
    """Why torch.compile makes no kernel here; None if it does."""
    try:
        config: Any = torch._dynamo.config  # noqa: SLF001 - where torch keeps it
        config.recompile_limit = _RECOMPILES
        x = torch.ones(4, 8, device="cuda")
        twice: Any = torch.compile(alone_twice, dynamic=True)
        twice(x)
        torch.cuda.synchronize()
    except Exception as error:  # noqa: BLE001 - compilers raise their own trees
        return f"torch.compile fails here ({type(error).__name__}): elementwise work is not fused"
    return None
