"""The model folders that vLLM serves: ``python -m deltastack.engine.vllm_cpu.model FOLDER``.

``trained`` is the testbed's trained LLaVA (SigLIP tower, Qwen3 decoder), with its real answers. ``sized`` is the same
architecture in a size at which a processor's time goes into the model and not into the server; it has no weights, vLLM draws them
(``--load-format dummy``). ``sized-w8a8`` asks for the same in 8 bit weights and activations. Words are tokens.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltastack.contracts import atomic
from deltastack.engine.asking import WORDS as SYNTHETIC
from deltastack.testbed.vlm.digits import TOKEN, WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKPOINT = Path(__file__).parents[2] / "testbed" / "checkpoints" / "trained.safetensors"
IMAGE = "<image>"
TEMPLATE = (
    "begin {% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}"
    "{% if c.type == 'text' %}{{ c.text }}{% else %}" + IMAGE + "{% endif %} {% endfor %}{% endif %} {% endfor %}"
)
_CONTEXT = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A LLaVA's widths and depths."""

    hidden: int
    feed_forward: int
    layers: int
    heads: int
    vocabulary: int
    vision_hidden: int
    vision_layers: int
    vision_heads: int
    image: int
    patch: int


TRAINED = Size(
    hidden=128,
    feed_forward=384,
    layers=3,
    heads=4,
    vocabulary=56,
    vision_hidden=96,
    vision_layers=2,
    vision_heads=4,
    image=16,
    patch=4,
)
"""That of trained.json."""
SIZED = Size(
    hidden=640,
    feed_forward=1920,
    layers=8,
    heads=10,
    vocabulary=4096,
    vision_hidden=448,
    vision_layers=6,
    vision_heads=7,
    image=224,
    patch=16,
)
"""The testbed's 60m, with pictures of 224 pixels."""
W8A8 = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["re:.*vision_tower.*", "re:.*multi_modal_projector.*", "re:.*lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False},
            "input_activations": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True},
        }
    },
}
"""8 bit weights by channel, 8 bit activations by token, of the decoder's products."""


def write(folder: Path) -> None:
    """Write the three folders below ``folder``; trained weights are renamed to what vLLM looks for."""
    from safetensors.numpy import load_file, save_file

    words = [IMAGE if w == "image" else w for w in WORDS]
    _describe(folder / "trained", TRAINED, words, None)
    with atomic(folder / "trained" / "model.safetensors") as part:
        save_file({renamed(k): w for k, w in load_file(CHECKPOINT).items()}, part, metadata={"format": "pt"})
    known = [*words[:3], *SYNTHETIC]
    for name, quantization in (("sized", None), ("sized-w8a8", W8A8)):
        _describe(folder / name, SIZED, known, quantization)


def renamed(name: str) -> str:
    """A tensor's name in the trainer's file as vLLM looks for it.

    >>> renamed("model.language_model.norm.weight"), renamed("model.vision_tower.embeddings.x")
    ('language_model.model.norm.weight', 'vision_tower.vision_model.embeddings.x')
    """
    plain = name.removeprefix("model.")
    for ours, theirs in (("language_model.", "language_model.model."), ("vision_tower.", "vision_tower.vision_model.")):
        if plain.startswith(ours):
            return theirs + plain.removeprefix(ours)
    return plain


def config(size: Size, quantization: dict[str, Any] | None) -> dict[str, Any]:
    """config.json."""
    text = {
        "model_type": "qwen3",
        "vocab_size": size.vocabulary,
        "hidden_size": size.hidden,
        "intermediate_size": size.feed_forward,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.heads,
        "head_dim": size.hidden // size.heads,
        "max_position_embeddings": _CONTEXT,
        "tie_word_embeddings": True,
        "bos_token_id": TOKEN["begin"],
        "eos_token_id": None,
        "pad_token_id": TOKEN["pad"],
    }
    vision = {
        "model_type": "siglip_vision_model",
        "vision_use_head": False,
        "hidden_size": size.vision_hidden,
        "intermediate_size": 4 * size.vision_hidden,
        "num_hidden_layers": size.vision_layers,
        "num_attention_heads": size.vision_heads,
        "image_size": size.image,
        "patch_size": size.patch,
    }
    whole = {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "dtype": "float32",
        "image_token_id": TOKEN["image"],
        "image_seq_length": (size.image // size.patch) ** 2,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
        "tie_word_embeddings": True,
        "text_config": text,
        "vision_config": vision,
    }
    return whole | ({} if quantization is None else {"quantization_config": quantization})


def _describe(folder: Path, size: Size, words: Sequence[str], quantization: dict[str, Any] | None) -> None:
    """Everything but the weights."""
    picture = {
        "image_processor_type": "SiglipImageProcessor",
        "size": {"height": size.image, "width": size.image},
        "resample": 0,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    processor = {
        "processor_class": "LlavaProcessor",
        "patch_size": size.patch,
        "vision_feature_select_strategy": "full",
        "image_token": IMAGE,
        "num_additional_image_tokens": 0,
    }
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "begin", "pad_token": "pad"}
    files: dict[str, Any] = {
        "config.json": config(size, quantization),
        "generation_config.json": {"bos_token_id": TOKEN["begin"], "eos_token_id": None, "pad_token_id": TOKEN["pad"]},
        "preprocessor_config.json": picture,
        "processor_config.json": processor,
        "tokenizer.json": _tokenizer(words, size.vocabulary),
        "tokenizer_config.json": names,
    }
    for name, value in files.items():
        with atomic(folder / name) as part:
            part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    with atomic(folder / "chat_template.jinja") as part:
        part.write_text(TEMPLATE, encoding="utf-8")


def _tokenizer(words: Sequence[str], rows: int) -> dict[str, Any]:
    """A word between spaces is a token; rows of the embedding beyond the words are tokens that no text contains."""
    vocabulary = {word: n for n, word in enumerate((*words, *(f"<spare {n}>" for n in range(len(words), rows))))}
    image = {"id": vocabulary[IMAGE], "content": IMAGE, "special": True}
    return {
        "version": "1.0",
        "added_tokens": [image | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)],
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "pad"},
    }


if __name__ == "__main__":
    write(Path(sys.argv[1]))
