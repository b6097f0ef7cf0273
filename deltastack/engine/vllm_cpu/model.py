"""The model folders that vLLM serves: ``python -m deltastack.engine.vllm_cpu.model FOLDER``.

``trained`` is the testbed's trained LLaVA (SigLIP tower, Qwen3 decoder). ``wide`` gives the same answers in a size at which a
processor's time goes into the model and not into the server: its decoder is padded with zeros (``weights``). ``wide-w8a8`` is
that one with weights and activations in 8 bits. Words are tokens.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deltastack.contracts import atomic
from deltastack.engine.vllm_cpu import questions, weights
from deltastack.testbed.vlm.digits import TOKEN, WORDS

CHECKPOINT = Path(__file__).parents[2] / "testbed" / "checkpoints" / "trained.safetensors"
IMAGE = "<image>"
TEMPLATE = (
    "begin {% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}"
    "{% if c.type == 'text' %}{{ c.text }}{% else %}" + IMAGE + "{% endif %} {% endfor %}{% endif %} {% endfor %}"
)
MADE = "made.sha256"
"""What the folders were written from."""
EPSILON = 1e-6
"""Of the decoder's norms as trained; the default of Transformers' Qwen3Config."""
_CONTEXT = 1024
_CODE = tuple(Path(__file__).with_name(name) for name in ("model.py", "questions.py", "weights.py"))


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
WIDE = replace(TRAINED, hidden=640, feed_forward=1920, layers=8, heads=20)
"""43 million numbers in the decoder, 170 MB."""
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
    """Write the three folders below ``folder``, where they are missing or of other weights."""
    from safetensors.numpy import load_file, save_file

    digest = hashlib.sha256(CHECKPOINT.read_bytes() + b"".join(p.read_bytes() for p in _CODE)).hexdigest()
    if (folder / MADE).is_file() and (folder / MADE).read_text() == digest:
        return
    trained = {weights.renamed(k): w for k, w in load_file(CHECKPOINT).items()}
    wide = weights.widened(trained, hidden=WIDE.hidden, feed_forward=WIDE.feed_forward, layers=WIDE.layers)
    models = (("trained", TRAINED, trained, None), ("wide", WIDE, wide, None), ("wide-w8a8", WIDE, weights.in_8_bits(wide), W8A8))
    for name, size, tensors, quantization in models:
        _describe(folder / name, size, quantization)
        with atomic(folder / name / "model.safetensors") as part:
            save_file(tensors, part, metadata={"format": "pt"})
    questions.write(folder)
    (folder / MADE).write_text(digest)


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
        "rms_norm_eps": EPSILON * TRAINED.hidden / size.hidden,
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


def _describe(folder: Path, size: Size, quantization: dict[str, Any] | None) -> None:
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
        "tokenizer.json": _tokenizer(size.vocabulary),
        "tokenizer_config.json": names,
    }
    for name, value in files.items():
        with atomic(folder / name) as part:
            part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    with atomic(folder / "chat_template.jinja") as part:
        part.write_text(TEMPLATE, encoding="utf-8")


def _tokenizer(rows: int) -> dict[str, Any]:
    """A word between spaces is a token; rows of the embedding beyond the words are tokens that no text contains."""
    words = [IMAGE if w == "image" else w for w in WORDS]
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
