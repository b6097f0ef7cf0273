"""An output head that is not asked twice. Imports torch: only switches load this module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from deltastack.testbed.switches.early_exit import Way


class SparedHead(nn.Module):
    """The model's head; once every row of a batch has left, what was said at the exit is said again."""

    def __init__(self, own: nn.Module, way: Callable[[], Way | None]) -> None:
        """Stand before ``own``."""
        super().__init__()
        self.own, self._way = own, way

    def asked(self, hidden: Tensor) -> Tensor:
        """Logits by the head itself."""
        logits: Tensor = self.own(hidden)
        return logits

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, H) to (B, T, V)."""
        way = self._way()
        return way.logits if way is not None and way.done and way.logits is not None else self.asked(hidden)
