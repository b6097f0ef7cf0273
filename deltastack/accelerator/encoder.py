"""A vision encoder: patches in, visual tokens of the decoder's width out, in batches of images.

Source: An image is worth 16x16 words, arXiv 2010.11929; merging four neighbours, Qwen2-VL (arXiv 2409.12191).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

from deltastack.accelerator.decoder import random

if TYPE_CHECKING:
    from torch import Tensor

    from deltastack.accelerator.device import Device
    from deltastack.accelerator.shapes import Shape


class Encoder:
    """Its weights, random."""

    def __init__(self, shape: Shape, device: Device) -> None:
        """Make weights on the device."""
        v = self._shape = shape.vision
        self._patch = random(device, v.hidden, v.patch_byte)
        sizes = {"qkv": (3 * v.hidden, v.hidden), "out": (v.hidden, v.hidden), "up": (v.ffn, v.hidden), "down": (v.hidden, v.ffn)}
        self._layers = [{name: random(device, *size) for name, size in sizes.items()} for _ in range(v.layers)]
        self._merge = random(device, shape.hidden, v.merge * v.hidden)
        self._device = device
        self._host: list[dict[str, Tensor]] = []

    def keep(self) -> None:
        """Copy the layers' weights to pinned host memory, once."""
        self._host = self._host or [{name: self._device.pinned(w) for name, w in layer.items()} for layer in self._layers]

    def leave(self) -> None:
        """Give the memory of the layers back to the device; nothing where no copy was kept."""
        if self._host:
            self._layers = []

    def come_back(self) -> None:
        """Bring the layers back, where they have left; queued, not waited for."""
        self._layers = self._layers or [
            {name: w.to(self._device.name, non_blocking=True, copy=True) for name, w in layer.items()} for layer in self._host
        ]

    def __call__(self, patches: Tensor) -> Tensor:
        """Visual tokens of some images.

        Args:
            patches: (images, patches, patch_byte); ``merge`` patches make one visual token.

        Returns:
            (images, patches / merge, hidden of the decoder).

        Raises:
            RuntimeError: Its weights were given back.
        """
        if not self._layers:
            raise RuntimeError("the encoder was given back and has not come back")
        v, (images, count, _) = self._shape, patches.shape
        x = functional.linear(patches.reshape(images * count, -1), self._patch)
        for layer in self._layers:
            h = functional.layer_norm(x, (v.hidden,))
            q, k, w = functional.linear(h, layer["qkv"]).view(images, count, 3, v.heads, -1).permute(2, 0, 3, 1, 4)
            seen = functional.scaled_dot_product_attention(q, k, w).transpose(1, 2).reshape(images * count, v.hidden)
            x = x + functional.linear(seen, layer["out"])
            inner = functional.gelu(functional.linear(functional.layer_norm(x, (v.hidden,)), layer["up"]), approximate="tanh")
            x = x + functional.linear(inner, layer["down"])
        merged = functional.linear(x.view(images * count // v.merge, v.merge * v.hidden), self._merge)
        return merged.view(images, count // v.merge, -1)
