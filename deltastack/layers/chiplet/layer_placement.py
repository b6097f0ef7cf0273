"""Layer placement: the transformer's layers on separate dies, activations handed from die to die."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from deltastack.fleet.deployment import Placement
from deltastack.fleet.effects import placement
from deltastack.fleet.operators.shapes import BF16_BYTES, shapes
from deltastack.fleet.physics import links
from deltastack.layers.measurement import Exactness, Measurement
from deltastack.layers.micro_batches import MICRO_BATCHES
from deltastack.layers.technique import Technique
from deltastack.layers.two_cores import TWO_CORES
from deltastack.model import Params
from deltastack.testbed.switches import settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.fleet.deployment import Deployment
    from deltastack.testbed.vlm.engine import Engine


class LayerPlacementParams(Params):
    """The pipeline and the links between its dies."""

    dies: int = Field(ge=1)
    micro_batches: int = Field(ge=1)
    hop_s: float = Field(ge=0)
    link_bytes_per_s: float = Field(gt=0)
    link_j_per_bit: float = Field(ge=0)
    testbed: settings.Lanes = settings.Lanes(lanes=1, micro_batches=1)


class LayerPlacement(Technique[LayerPlacementParams]):
    """A pipeline inside the package: bubbles, weights read once a micro-batch, hardly any energy between dies."""

    name = "layer_placement"
    params = LayerPlacementParams
    measurement = Measurement(
        exactness=Exactness.TOKEN,
        baseline="one core, whole batches: what the lanes must pay for with a second core",
        carries_over="an analogue: lanes share memory; weights read again per micro-batch and the pipeline's bubble carry over",
        example={"testbed": {"lanes": 2, "micro_batches": 2}},
        against=TWO_CORES,
    )
    mechanisms = (MICRO_BATCHES,)

    def rewrite(self, deployment: Deployment, p: LayerPlacementParams) -> Deployment:
        """The deployment with its layers on ``p.dies`` dies.

        Raises:
            OutOfValidityError: Fewer than one die or micro-batch.
            UnknownNameError: No shapes of the model.
        """
        wide = shapes(deployment.model).hidden_size
        hops = (p.dies - 1) * links.hop_energy_j(wide, BF16_BYTES, p.link_j_per_bit)
        empty = placement.bubble(p.dies, p.micro_batches)
        placed = Placement(dies=p.dies, micro_batches=p.micro_batches, hop_s=p.hop_s, link_bytes_per_s=p.link_bytes_per_s)
        package = replace(deployment.packaging, link_energy_j_per_token=deployment.packaging.link_energy_j_per_token + hops)
        words = (
            f"layers on {p.dies} dies, {p.micro_batches} micro-batches: a bubble of {empty:.0%}, weights read {p.micro_batches} "
            f"times a step, {hops * 1e6:.2f} uJ a token between dies"
        )
        return replace(deployment, placement=placed, packaging=package).noted(self.name, words)

    def switch(self, engine: Engine, p: LayerPlacementParams) -> AbstractContextManager[None] | None:
        """Decoder layers in lanes: an analogue, with cores for dies."""
        from deltastack.testbed.switches.placement import layer_placement

        return layer_placement(engine, p.testbed)

    def control(self, p: LayerPlacementParams) -> LayerPlacementParams:
        """All layers on one die, the batch whole."""
        return p.model_copy(update={"dies": 1, "micro_batches": 1, "testbed": settings.Lanes(lanes=1, micro_batches=1)})
