"""The way of embeddings from an encoder of its own to the language model.

    delay_s = latency_s + image_tokens embedding_bytes / transfer_bytes_per_s       for requests with images to encode

An embedding has the width that the encoder gives to the language model, once more for every deepstack level, in 16 bits:
32,768 bytes a visual token for Qwen3-VL-8B, 6.4 MB for a 448 x 448 tile.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from deltastack.fleet.operators.shapes import BF16_BYTES, shapes

if TYPE_CHECKING:
    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.simulator import Requests


def requests(requests: Requests, deployment: Deployment) -> Requests:
    """``requests`` with the time of this way before they are ready: the same object where the encoder is inline.

    Raises:
        UnknownNameError: Nobody wrote down the encoder of the model.
    """
    encoder = deployment.encoder
    if encoder.placement == "inline" or (encoder.transfer_bytes_per_s == 0 and encoder.transfer_latency_s == 0):
        return requests
    sent = requests.images > requests.cached_images
    share = (requests.images - requests.cached_images) / np.maximum(requests.images, 1)
    way_s = np.zeros(requests.images.size)
    if encoder.transfer_bytes_per_s > 0:
        way_s = share * requests.image_tokens * embedding_bytes(deployment.model) / encoder.transfer_bytes_per_s
    return replace(requests, delay_s=requests.delay_s + np.where(sent, encoder.transfer_latency_s + way_s, 0.0))


def embedding_bytes(model: str) -> int:
    """Bytes that one visual token brings to the language model; 0 for a model of text.

    Raises:
        UnknownNameError: Nobody wrote down the encoder of the model.
    """
    vision = shapes(model).vision
    return 0 if vision is None else BF16_BYTES * vision.out_hidden_size * (1 + vision.deepstack_levels)
