"""Decoder layers that a request may pass by: what a thread's batch is doing, and forwards that look at it.

A batch is served by one thread from beginning to end, so what is decided of it is kept by thread; micro-batches in lanes do not
see each other's.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

_HERE = threading.local()


@contextlib.contextmanager
def going(name: str, way: Any) -> Iterator[None]:
    """The calling thread's batch goes ``way`` as far as the technique ``name`` is concerned."""
    setattr(_HERE, name, way)
    try:
        yield
    finally:
        delattr(_HERE, name)


def way(name: str) -> Any:
    """How the calling thread's batch goes under ``name``; None outside a batch."""
    return getattr(_HERE, name, None)


@contextlib.contextmanager
def passing(layer: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """``layer`` runs ``forward(own, hidden, ...)``, where ``own`` is what it ran before: its own, or an earlier technique's."""
    own: Any = layer.forward
    had = "forward" in vars(layer)

    def routed(hidden_states: Any, *args: Any, **named: Any) -> Any:
        return forward(own, hidden_states, *args, **named)

    layer.forward = routed
    try:
        yield
    finally:
        if had:
            layer.forward = own
        else:
            del layer.forward
