"""Layer ``pruning``: attention heads and weights that matter least are cut away. Off by default; the testbed alone observes it.

``head_pruning`` and ``weight_pruning`` make the matrices smaller, so that time, bytes and memory fall with them, and with
``retrained`` what is left of the trained model's part was trained again (resources are those of the shape, with it or without);
``weight_zeroing`` writes zeros below a threshold into dense matrices, which saves nothing and costs quality all the same. On the
fleet there is no such cell: the operator times that it reads are of the models as published, none is of a pruned one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.layers.measurement import Exactness, Measurement
from deltastack.layers.technique import Layer, Technique
from deltastack.testbed.switches.settings import Pruning, Zeroing

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.testbed.vlm.engine import Engine


class _Cut(Technique[Pruning]):
    """The least important units of every decoder layer are gone."""

    params = Pruning

    def control(self, p: Pruning) -> Pruning:
        """Everything stays."""
        return p.model_copy(update={"kept": 1.0})


class HeadPruning(_Cut):
    """Whole attention heads."""

    name = "head_pruning"
    measurement = Measurement(
        exactness=Exactness.APPROXIMATE,
        baseline="the full model, all heads",
        carries_over="bytes, keys and values fall there alike; the time of a smaller product depends on the kernel's tiles",
        example={"kept": 0.5, "retrained": False},
    )

    def switch(self, engine: Engine, p: Pruning) -> AbstractContextManager[None] | None:
        """Fewer heads in every decoder layer."""
        from deltastack.testbed.switches import pruning

        return pruning.head_pruning(engine, p)


class WeightPruning(_Cut):
    """Whole channels of the feed-forward width."""

    name = "weight_pruning"
    measurement = Measurement(
        exactness=Exactness.APPROXIMATE,
        baseline="the full model, all feed-forward channels",
        carries_over="bytes and operations fall there alike; the time of a smaller product depends on the kernel's tiles",
        example={"kept": 0.5, "retrained": False},
    )

    def switch(self, engine: Engine, p: Pruning) -> AbstractContextManager[None] | None:
        """Fewer channels in every decoder layer."""
        from deltastack.testbed.switches import pruning

        return pruning.weight_pruning(engine, p)


class WeightZeroing(Technique[Zeroing]):
    """Zeros in place of small weights."""

    name = "weight_zeroing"
    params = Zeroing
    measurement = Measurement(
        exactness=Exactness.APPROXIMATE,
        baseline="the full model: zeros in a dense product are multiplied like any number, so nothing is left to save",
        carries_over="all of it: dense kernels do not look for zeros anywhere; sparse ones are another technique",
        example={"below": 0.5},
    )

    def switch(self, engine: Engine, p: Zeroing) -> AbstractContextManager[None] | None:
        """Zeros in dense matrices."""
        from deltastack.testbed.switches import pruning

        return pruning.weight_zeroing(engine, p)

    def control(self, p: Zeroing) -> Zeroing:
        """No weight is below a threshold of nothing."""
        return p.model_copy(update={"below": 0.0})


PRUNING = Layer(name="pruning", techniques=(HeadPruning(), WeightPruning(), WeightZeroing()))
