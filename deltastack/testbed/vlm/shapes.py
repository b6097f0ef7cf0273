"""Models from a shape, with random weights: no file and no network is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deltastack.testbed.vlm.digits import TOKEN

if TYPE_CHECKING:
    from deltastack.testbed.settings import Family, Shape

_FEED_FORWARD = 3
_CONTEXT = 1024


def build(family: Family, shape: Shape, seed: int) -> Any:
    """A model of ``family`` in float32; the same seed gives the same weights."""
    import torch

    torch.manual_seed(seed)
    return {"llava": _llava, "qwen3_vl": _qwen3_vl, "smolvlm": _smolvlm}[family](shape).eval()


def _text(s: Shape) -> dict[str, Any]:
    return {
        "vocab_size": s.vocabulary,
        "hidden_size": s.hidden,
        "intermediate_size": _FEED_FORWARD * s.hidden,
        "num_hidden_layers": s.layers,
        "num_attention_heads": s.heads,
        "num_key_value_heads": s.heads,
        "head_dim": s.hidden // s.heads,
        "max_position_embeddings": _CONTEXT,
        "bos_token_id": TOKEN["begin"],
        "pad_token_id": TOKEN["pad"],
    }


def _vision(s: Shape) -> dict[str, Any]:
    return {
        "hidden_size": s.vision_hidden,
        "intermediate_size": 4 * s.vision_hidden,
        "num_hidden_layers": s.vision_layers,
        "num_attention_heads": s.vision_heads,
        "image_size": s.image,
        "patch_size": s.patch,
    }


def _llava(s: Shape) -> Any:
    t = _transformers()

    return t.LlavaForConditionalGeneration(
        t.LlavaConfig(
            vision_config=t.SiglipVisionConfig(vision_use_head=False, **_vision(s)),
            text_config=t.Qwen3Config(tie_word_embeddings=True, **_text(s)),
            vision_feature_layer=-1,
            vision_feature_select_strategy="full",
            image_token_id=TOKEN["image"],
            tie_word_embeddings=True,
        )
    )


def _smolvlm(s: Shape) -> Any:
    t = _transformers()

    config = {"vision_config": _vision(s), "text_config": {"model_type": "llama", **_text(s)}, "scale_factor": 2}
    return t.SmolVLMForConditionalGeneration(t.SmolVLMConfig(image_token_id=TOKEN["image"], tie_word_embeddings=True, **config))


def _qwen3_vl(s: Shape) -> Any:
    t = _transformers()

    half = s.hidden // s.heads // 2
    section = [half - 2 * (half // 3), half // 3, half // 3]
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": section, "mrope_interleaved": True}
    vision = {
        "depth": s.vision_layers,
        "hidden_size": s.vision_hidden,
        "intermediate_size": 4 * s.vision_hidden,
        "num_heads": s.vision_heads,
        "patch_size": s.patch,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": s.hidden,
        "num_position_embeddings": (s.image // s.patch) ** 2,
        "deepstack_visual_indexes": [0],
    }
    special = dict.fromkeys(("video_token_id", "vision_start_token_id", "vision_end_token_id"), TOKEN["pad"])
    return t.Qwen3VLForConditionalGeneration(
        t.Qwen3VLConfig(
            text_config={**_text(s), "rope_parameters": rope},
            vision_config=vision,
            image_token_id=TOKEN["image"],
            tie_word_embeddings=True,
            **special,
        )
    )


def _transformers() -> Any:
    """The library, without its types: its configurations declare theirs too narrowly for plain keyword arguments."""
    import transformers

    return transformers
