"""Block alignment: every tensor of the weights' file starts on a block, so that it is read straight and whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from deltastack.errors import OutOfValidityError
from deltastack.fleet.effects import flash
from deltastack.layers.measurement import Baseline, Exactness, Measurement
from deltastack.layers.storage.baselines import buffered, plain_mapping
from deltastack.layers.technique import Technique
from deltastack.model import Params
from deltastack.testbed.switches import settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.fleet.deployment import Deployment
    from deltastack.testbed.vlm.engine import Engine


class BlockAlignmentParams(Params):
    """Whether the file is laid out anew."""

    aligned: bool
    testbed: settings.BlockAlignment = settings.BlockAlignment(alignment_byte=None)


class BlockAlignment(Technique[BlockAlignmentParams]):
    """The safetensors file rewritten once, padded: no partial blocks, no copies out of bounce buffers."""

    name = "block_alignment"
    params = BlockAlignmentParams
    measurement = Measurement(
        exactness=Exactness.BITWISE,
        baseline="safetensors mapped and read from front to back, cold; its pages are mapped anew at every load, ours are kept",
        carries_over="bytes and copies carry over; latencies of this virtual disk do not; no zoned device was measured",
        example={"testbed": {"alignment_byte": 4096}},
        against={
            "buffered": Baseline("the same safetensors read through the page cache into private memory", buffered),
            "plain_mapping": Baseline(
                "the same safetensors in one mapping of our own, without the library: the quickest way here", plain_mapping
            ),
        },
    )

    def rewrite(self, deployment: Deployment, p: BlockAlignmentParams) -> Deployment:
        """The deployment with aligned weights.

        Raises:
            OutOfValidityError: It has no drive.
            UnknownNameError: No shapes of the model.
        """
        if not deployment.storage.drive_bytes:
            raise OutOfValidityError("weights are aligned on a drive: deployment.storage.drive_bytes is 0 in params/fleet.yaml")
        aligned = replace(deployment.storage, aligned=p.aligned)
        before, after = (flash.loading(s, deployment.model) for s in (deployment.storage, aligned))
        words = (
            f"one load of the weights reads {before.read_bytes / 1e9:.3f} to {after.read_bytes / 1e9:.3f} GB, copies "
            f"{before.bounced_bytes / 1e9:.1f} to {after.bounced_bytes / 1e9:.1f} GB and takes {before.seconds:.2f} to "
            f"{after.seconds:.2f} s"
        )
        return replace(deployment, storage=aligned).noted(self.name, words)

    def switch(self, engine: Engine, p: BlockAlignmentParams) -> AbstractContextManager[None] | None:
        """Sessions load from an aligned file, past the page cache."""
        from deltastack.testbed.switches.storage import block_alignment

        return block_alignment(engine, p.testbed)

    def control(self, p: BlockAlignmentParams) -> BlockAlignmentParams:
        """The file as it is."""
        return p.model_copy(update={"aligned": False, "testbed": settings.BlockAlignment(alignment_byte=None)})
