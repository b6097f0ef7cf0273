"""Memory over time, by component: what is resident times how long it is.

    byte seconds of component c = sum over stretches of (bytes of c that are resident x seconds of the stretch)

Weights are counted by their storage, once for shared ones; the cache of keys and values belongs to attention and is
counted by the mean of its size after prefill and at the end. Activations are left out: they live for one operation.
During an idle gap whatever stays resident is charged to ``idle``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.model import Component, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping


class Residence:
    """Integrates resident bytes over a session's real and virtual time."""

    def __init__(self) -> None:
        """Nothing is resident."""
        self.resident_byte: dict[Component, int] = {}
        self._byte_s: dict[Component, float] = {}
        self.idle_s = 0.0

    def serve(self, seconds: float, cache_byte: float) -> None:
        """A batch took ``seconds`` and held ``cache_byte`` of keys and values on average."""
        for component, held in self.resident_byte.items():
            self._charge(component, held * seconds)
        self._charge(Component.ATTENTION, cache_byte * seconds)

    def wait(self, seconds: float) -> None:
        """A virtual gap of ``seconds`` in which what is resident stays."""
        self.idle_s += seconds
        self._charge(Component.IDLE, sum(self.resident_byte.values()) * seconds)

    def release(self, component: Component) -> None:
        """The weights of ``component`` are gone."""
        self.resident_byte.pop(component, None)

    def merged(self, amounts: Mapping[Component, Mapping[Resource, float]]) -> dict[Component, dict[Resource, float]]:
        """``amounts`` with memory beside them."""
        merged = {c: dict(v) for c, v in amounts.items()}
        for component, byte_s in self._byte_s.items():
            merged.setdefault(component, {})[Resource.MEMORY_BYTE_S] = byte_s
        return merged

    def _charge(self, component: Component, byte_s: float) -> None:
        self._byte_s[component] = self._byte_s.get(component, 0.0) + byte_s
