"""The three families of hosts: LLaVA (default), Qwen3-VL and SmolVLM, wrapped into one shape.

No image processor of theirs is used (they need torchvision): a grey image is scaled to the encoder's size, repeated over
three channels and normalised to -1 .. 1, then laid out as the family wants it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltastack.errors import ParamsError
from deltastack.testbed.vlm.served_model import Host

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LlavaAdapter:
    """Pixels as (B, 3, S, S)."""

    model: Any
    image_size: int
    image_tokens: int

    def pixels(self, images: Tensor) -> dict[str, Tensor]:
        """Scaled and normalised."""
        return {"pixel_values": scaled(images, self.image_size)}

    def encode(self, pixels: dict[str, Tensor]) -> None:
        """Vision tower and projector."""
        self.model.get_image_features(**pixels)

    def prefill(self, prompts: Tensor, pixels: dict[str, Tensor]) -> dict[str, Any]:
        """Nothing beside the inputs."""
        return {"input_ids": prompts, **pixels}

    def step(self, prefill: dict[str, Any], done: int) -> dict[str, Any]:
        """Positions follow the cache."""
        del prefill, done
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmolAdapter(LlavaAdapter):
    """Pixels as (B, 1 image, 3, S, S)."""

    def pixels(self, images: Tensor) -> dict[str, Tensor]:
        """Scaled and normalised, one image a request."""
        return {"pixel_values": scaled(images, self.image_size)[:, None]}


@dataclass(frozen=True, slots=True, kw_only=True)
class QwenAdapter(LlavaAdapter):
    """Patches in a row, their grid beside them, and three-dimensional rotary positions."""

    patch: int
    merge: int
    frames: int

    def pixels(self, images: Tensor) -> dict[str, Tensor]:
        """(B x patches, 3 x frames x patch x patch), neighbours that are merged beside each other."""
        import torch

        p, m, f = self.patch, self.merge, self.frames
        side = self.image_size // p
        x = scaled(images, self.image_size)
        x = x.view(len(x), 3, side // m, m, p, side // m, m, p).permute(0, 2, 5, 3, 6, 1, 4, 7)
        x = x.unsqueeze(6).expand(*x.shape[:6], f, p, p).reshape(-1, 3 * f * p * p)
        grid = torch.tensor([[1, side, side]] * len(images))
        return {"pixel_values": x, "image_grid_thw": grid}

    def prefill(self, prompts: Tensor, pixels: dict[str, Tensor]) -> dict[str, Any]:
        """Positions are given, so that the model keeps none of its own between calls (micro-batches run side by side)."""
        kind = (prompts == self.model.config.image_token_id).int()
        positions, _ = self.model.model.get_rope_index(
            input_ids=prompts, mm_token_type_ids=kind, image_grid_thw=pixels.get("image_grid_thw")
        )
        more = {"mm_token_type_ids": kind} if pixels else {}
        return {"input_ids": prompts, "position_ids": positions, **pixels, **more}

    def step(self, prefill: dict[str, Any], done: int) -> dict[str, Any]:
        """The next position after the prompt's last."""
        return {"position_ids": prefill["position_ids"][..., -1:] + done}


def scaled(images: Tensor, size: int) -> Tensor:
    """(B, H, W) grey levels 0..255 as (B, 3, size, size) in -1 .. 1, by the nearest pixel."""
    import torch

    x = images[:, None].to(torch.float32) / 127.5 - 1
    if x.shape[-1] != size or x.shape[-2] != size:
        x = torch.nn.functional.interpolate(x, size=(size, size), mode="nearest")
    return x.expand(-1, 3, -1, -1)


def wrap(model: Any) -> Host:
    """A loaded Transformers model as a host.

    Raises:
        ParamsError: A class that is none of the three families.
    """
    name = type(model).__name__
    if name not in _FAMILIES:
        raise ParamsError(f"the checkpoint's class is {name}; the testbed serves: {', '.join(_FAMILIES)}")
    return _FAMILIES[name](model.eval())


def _llava(model: Any) -> Host:
    vision = model.config.vision_config
    adapter = LlavaAdapter(model=model, image_size=vision.image_size, image_tokens=(vision.image_size // vision.patch_size) ** 2)
    tower = model.model.vision_tower
    return _host(model, "llava", encoder=tower, blocks=tower.encoder.layers, adapter=adapter)


def _smolvlm(model: Any) -> Host:
    vision = model.config.vision_config
    side = vision.image_size // vision.patch_size // model.config.scale_factor
    adapter = SmolAdapter(model=model, image_size=vision.image_size, image_tokens=side**2)
    tower = model.model.vision_model
    return _host(model, "smolvlm", encoder=tower, blocks=tower.encoder.layers, adapter=adapter)


def _qwen3_vl(model: Any) -> Host:
    vision = model.config.vision_config
    side = round(vision.num_position_embeddings**0.5)
    adapter = QwenAdapter(
        model=model,
        image_size=side * vision.patch_size,
        image_tokens=(side // vision.spatial_merge_size) ** 2,
        patch=vision.patch_size,
        merge=vision.spatial_merge_size,
        frames=vision.temporal_patch_size,
    )
    tower = model.model.visual
    return _host(model, "qwen3_vl", encoder=tower, blocks=tower.blocks, adapter=adapter)


def _host(model: Any, family: str, *, encoder: Any, blocks: Any, adapter: LlavaAdapter) -> Host:
    decoder = model.get_decoder()
    between = (getattr(model.model, name, None) for name in ("multi_modal_projector", "connector"))
    return Host(
        model=model,
        family=family,
        encoder=encoder,
        encoder_blocks=blocks,
        projectors=tuple(m for m in between if m is not None),
        decoder=decoder,
        layers=decoder.layers,
        head=model.get_output_embeddings(),
        embedding=model.get_input_embeddings(),
        adapter=adapter,
    )


_FAMILIES: dict[str, Callable[[Any], Host]] = {
    "LlavaForConditionalGeneration": _llava,
    "Qwen3VLForConditionalGeneration": _qwen3_vl,
    "SmolVLMForConditionalGeneration": _smolvlm,
}
