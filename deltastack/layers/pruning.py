"""Layer ``pruning``: attention heads and weights that matter least are cut away. Off by default; the testbed alone observes it.

``head_pruning`` and ``weight_pruning`` make the matrices smaller, so that time, bytes and memory fall with them, and with
``retrained`` what is left of the trained model's part was trained again (resources are those of the shape, with it or without);
``weight_zeroing`` writes zeros below a threshold into dense matrices, which saves nothing and costs quality all the same. On the
fleet there is no such cell: the operator times that it reads are of the models as published, none is of a pruned one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltastack.layers.technique import Layer
from deltastack.layers.techniques import TestbedOnly
from deltastack.testbed import switches
from deltastack.testbed.switches.settings import Pruning, Zeroing

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.testbed.vlm.engine import Engine


@dataclass(frozen=True, slots=True)
class _Cut(TestbedOnly[Pruning]):
    """The least important units of every decoder layer are gone."""

    name: str
    params: type[Pruning] = Pruning

    def switch(self, engine: Engine, p: Pruning) -> AbstractContextManager[None] | None:
        """Smaller matrices in every decoder layer."""
        return switches.on(self.name, engine, p)

    def control(self, p: Pruning) -> Pruning:
        """Everything stays."""
        return p.model_copy(update={"kept": 1.0})


@dataclass(frozen=True, slots=True)
class HeadPruning(_Cut):
    """Whole attention heads."""

    name: str = "head_pruning"


@dataclass(frozen=True, slots=True)
class WeightPruning(_Cut):
    """Whole channels of the feed-forward width."""

    name: str = "weight_pruning"


@dataclass(frozen=True, slots=True)
class WeightZeroing(TestbedOnly[Zeroing]):
    """Zeros in place of small weights."""

    name: str = "weight_zeroing"
    params: type[Zeroing] = Zeroing

    def switch(self, engine: Engine, p: Zeroing) -> AbstractContextManager[None] | None:
        """Zeros in dense matrices."""
        return switches.on(self.name, engine, p)

    def control(self, p: Zeroing) -> Zeroing:
        """No weight is below a threshold of nothing."""
        return p.model_copy(update={"below": 0.0})


PRUNING = Layer(name="pruning", techniques=(HeadPruning(), WeightPruning(), WeightZeroing()))
