"""What does a stack of serving optimizations really save, and do the composition formulas hold?

>>> import deltastack as ds
>>> print(ds.compose([0.10, 0.15]))
independent  +23.5 %

``compose``, ``factorial``, ``simulate``, ``capacity`` and ``read`` are loaded when first asked for, so the import is light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deltastack.api import Composed, FleetAnswer, Results, capacity, compose, factorial, read, simulate

__all__ = ["Composed", "FleetAnswer", "Results", "capacity", "compose", "factorial", "read", "simulate"]


def __getattr__(name: str) -> Any:
    """A name of ``deltastack.api``, loaded when it is asked for.

    Raises:
        AttributeError: It has no such name.
    """
    if name not in __all__:
        raise AttributeError(f"module 'deltastack' has no attribute '{name}'; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module("deltastack.api"), name)


def __dir__() -> list[str]:
    """The names of the Python API."""
    return sorted(__all__)
