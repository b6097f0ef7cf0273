"""Tiny hosts of all three families, random weights: an engine in a folder, and a session for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import transformers as t

from deltastack.testbed.vlm import lifecycle, students
from deltastack.testbed.vlm.device import Cpu
from deltastack.testbed.vlm.engine import Engine
from deltastack.testbed.vlm.families import wrap
from deltastack.testbed.vlm.layouts import Mapped
from deltastack.testbed.vlm.served_model import Batch, Kind

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.testbed.vlm.device import Device

torch.set_num_threads(1)
IMAGE_TOKEN = 63
FAMILIES = ("llava", "qwen3_vl", "smolvlm")
_SHAPE: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
_TEXT: dict[str, Any] = {"vocab_size": 64, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256, **_SHAPE}
_VISION: dict[str, Any] = {"image_size": 32, "patch_size": 8, **_SHAPE}


def model(family: str, seed: int = 0) -> Any:
    """A fresh model of ``family``; the seed decides its weights."""
    torch.manual_seed(seed)
    if family == "llava":
        vision = t.SiglipVisionConfig(vision_use_head=False, **_VISION)
        more = {"vision_feature_layer": -1, "vision_feature_select_strategy": "full", "image_token_id": IMAGE_TOKEN}
        config = t.LlavaConfig(vision_config=vision, text_config=t.Qwen3Config(**_TEXT), tie_word_embeddings=True, **more)
        return t.LlavaForConditionalGeneration(config)
    if family == "smolvlm":
        text = {"model_type": "llama", "pad_token_id": 0, **_TEXT}
        return t.SmolVLMForConditionalGeneration(
            t.SmolVLMConfig(
                text_config=text, vision_config=_VISION, scale_factor=2, image_token_id=IMAGE_TOKEN, tie_word_embeddings=True
            )
        )
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2], "mrope_interleaved": True}
    vision_shape = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 8,
        "out_hidden_size": 32,
    }
    more = {"spatial_merge_size": 2, "temporal_patch_size": 2, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
    special = {"image_token_id": IMAGE_TOKEN, "video_token_id": 62, "vision_start_token_id": 61, "vision_end_token_id": 60}
    return t.Qwen3VLForConditionalGeneration(
        t.Qwen3VLConfig(
            text_config={**_TEXT, "rope_parameters": rope},
            vision_config={**vision_shape, **more},
            tie_word_embeddings=True,
            **special,
        )
    )


LOUD = 25.0


def engine(family: str, folder: Path, device: Device | None = None, *, loud: bool = False) -> Engine:
    """An engine over a tiny host of ``family`` with its base file in ``folder``.

    Fresh weights are so small that a token's own embedding drowns what the layers say of it, and every token repeats the last;
    with ``loud`` the layers are heard, and no answer is a placeholder of an image.
    """
    loaded = model(family)
    if loud:
        for layer in loaded.get_decoder().layers:
            for linear in (layer.self_attn.o_proj, layer.mlp.down_proj):
                linear.weight.data *= LOUD
        loaded.get_input_embeddings().weight.data[IMAGE_TOKEN] = 0
    base = folder / "base.safetensors"
    lifecycle.save_base(loaded, base)
    made = Engine(host=wrap(loaded), base=base, folder=folder, device=device or Cpu(), layout=Mapped())
    made.student_provider = students.untaught(0.5)
    return made


def grouped(folder: Path, *, layers: int = 2, heads: int = 4, key_value_heads: int = 2) -> Engine:
    """An engine over a tiny LLaVA with another depth, or with heads that share keys and values."""
    torch.manual_seed(5)
    text = {**_TEXT, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": key_value_heads}
    vision = t.SiglipVisionConfig(vision_use_head=False, **_VISION)
    more = {"vision_feature_layer": -1, "vision_feature_select_strategy": "full", "image_token_id": IMAGE_TOKEN}
    config = t.LlavaConfig(vision_config=vision, text_config=t.Qwen3Config(**text), tie_word_embeddings=True, **more)
    loaded = t.LlavaForConditionalGeneration(config)
    base = folder / "base.safetensors"
    lifecycle.save_base(loaded, base)
    return Engine(host=wrap(loaded), base=base, folder=folder, device=Cpu(), layout=Mapped())


def session(target: Engine, rows: int = 2, new_tokens: int = 4) -> tuple[Batch, ...]:
    """Image, text, image: ``rows`` requests each, a gap of one second before each."""
    chance = torch.Generator().manual_seed(7)
    n = target.host.adapter.image_tokens
    plain = torch.randint(1, 50, (rows, n + 6), generator=chance)
    marked = plain.clone()
    marked[:, 1 : 1 + n] = IMAGE_TOKEN
    images = torch.randint(0, 255, (rows, 16, 16), generator=chance, dtype=torch.uint8)
    image = Batch(kind=Kind.IMAGE, prompts=marked, images=images, new_tokens=new_tokens, gap_s=1.0)
    text = Batch(kind=Kind.TEXT, prompts=plain, images=None, new_tokens=new_tokens, gap_s=1.0)
    return image, text, image
