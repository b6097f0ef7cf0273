"""Layer ``caching``: the encoder's output of an image that comes again is read from memory."""

from __future__ import annotations

import contextlib
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from deltastack.fleet.deployment import KvTier
from deltastack.layers.measurement import Exactness, Measurement
from deltastack.layers.technique import Layer, Technique
from deltastack.model import Params

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deltastack.fleet.deployment import Deployment
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Host
    from deltastack.testbed.vlm.serving import Tensors


class ImageCacheParams(Params):
    """params/layers/caching.yaml, ``image_cache``."""

    hit_share: float = Field(ge=0, le=1, description="of requests with images; 0 caches nothing")
    read_bytes_per_s: float = Field(gt=0)
    capacity_bytes: float = Field(gt=0)


class ImageCache(Technique[ImageCacheParams]):
    """Embeddings in host memory on the fleet; outputs of the encoder by its input, for one session, on the testbed."""

    name = "image_cache"
    params = ImageCacheParams
    measurement = Measurement(
        exactness=Exactness.BITWISE,
        baseline="every image is encoded; a session's images all differ, so that the cache costs and saves nothing",
        carries_over="the cost of looking up; hits are a property of the traffic",
    )

    def rewrite(self, deployment: Deployment, p: ImageCacheParams) -> Deployment:
        """The deployment with a tier of embeddings."""
        if not p.hit_share:
            return deployment
        tier = KvTier(
            medium="host",
            image_hit_share=p.hit_share,
            read_bytes_per_s=p.read_bytes_per_s,
            capacity_bytes=p.capacity_bytes,
        )
        return replace(deployment, kv_tier=tier).noted(self.name, f"{p.hit_share:.0%} of images are found (assumed)")

    @contextlib.contextmanager
    def switch(self, engine: Engine, p: ImageCacheParams) -> Iterator[None]:
        """Look each image up before it is encoded."""
        from deltastack.testbed.vlm.serving import Rank, Ranked

        if not p.hit_share:
            yield
            return
        with engine.register("changes", self.name, Ranked(Rank.HOOKS, self.name, _remembering)):
            yield

    def control(self, p: ImageCacheParams) -> ImageCacheParams:
        """Nothing is found, so nothing is kept."""
        return p.model_copy(update={"hit_share": 0.0})


@contextlib.contextmanager
def _remembering(host: Host, spare: Tensors) -> Iterator[None]:
    """The encoder with its outputs by the bytes of its inputs."""
    import torch

    del spare
    encode, kept = host.encoder.forward, {}

    def forward(*inputs: object, **named: object) -> object:
        tensors = [x for x in (*inputs, *named.values()) if isinstance(x, torch.Tensor)]
        key = tuple(x.cpu().contiguous().view(torch.uint8).numpy().tobytes() for x in tensors)
        if key not in kept:
            kept[key] = encode(*inputs, **named)
        return copy(kept[key])  # models change their encoder's output in place

    host.encoder.forward = forward
    try:
        yield
    finally:
        del host.encoder.forward


CACHING = Layer(name="caching", techniques=(ImageCache(),))
