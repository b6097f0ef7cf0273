"""The project's own vision-language model as GGUF: a Qwen3 decoder, and a SigLIP tower with its projector as ``mmproj``.

The weights are the testbed's trained LLaVA (``trained.safetensors`` and the card beside it), read with numpy. Names go by the
``gguf`` package's own map. What the engine needs beside them:

* The vocabulary is a closed list of words. A word is the token `` word``, its space in front, of the kind that the engine finds
  in plain text, longest first: `` sum all ?`` is three tokens. The first word of all stands before every request by itself.
* ``clip.vision.feature_layer`` names the tower's last block. Without it the engine takes the one before, and most answers are
  wrong in silence.
* The tower's last norm is left out: LLaVA takes the last block's output as it is.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, NamedTuple

from deltastack.engine.llamacpp import weights
from deltastack.engine.llamacpp.weights import Precision, Tensor
from deltastack.errors import EvidenceError
from deltastack.testbed.vlm.digits import TOKEN, WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import gguf
    import numpy as np
    from numpy.typing import NDArray

WEIGHTS, CARD = "trained.safetensors", "trained.json"
CONTEXT = 1024
EPSILON = 1e-6
"""Of every norm; the default of Transformers' Qwen3Config and SiglipVisionConfig, which the model was trained with."""
ROPE_BASE = 1e4
"""Of the rotary positions; the default of Transformers' Qwen3Config."""
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
_GREY = 0.5
_PROJECTOR = {"linear_1": "mm.0", "linear_2": "mm.2"}
_UNUSED = "vision_tower.post_layernorm."


class Shape(NamedTuple):
    """What the tensors do not say of themselves, from the card."""

    heads: int
    vision_heads: int
    image: int
    patch: int


class Trained(NamedTuple):
    """The trained model: tensors by the trainer's names without ``model.``, and its shape."""

    tensors: dict[str, NDArray[np.float32]]
    shape: Shape


def read(folder: Path) -> Trained:
    """The trained model in ``folder``.

    Raises:
        EvidenceError: No card, or no whole file of weights.
    """
    try:
        shape = json.loads((folder / CARD).read_text(encoding="utf-8"))["recipe"]["shape"]
    except (OSError, ValueError, KeyError) as error:
        raise EvidenceError(f"no card {CARD} beside {WEIGHTS} ({error}): install the package again") from error
    tensors = {k.removeprefix("model."): w for k, w in weights.safetensors(folder / WEIGHTS).items()}
    return Trained(tensors, Shape(**{k: int(shape[k]) for k in Shape._fields}))


def decoder(trained: Trained) -> tuple[Tensor, ...]:
    """The decoder's tensors by the engine's names."""
    tensors = {k.replace("language_model.", "model."): w for k, w in trained.tensors.items() if k.startswith("language_model.")}
    layers = _count(tensors, "model.layers.")
    return _named(tensors, weights.library().get_tensor_name_map(weights.library().MODEL_ARCH.QWEN3, layers))


def text(trained: Trained, precision: Precision, path: Path) -> None:
    """Write the decoder, its matrices in ``precision``."""
    tensors = {t.name: t.values for t in decoder(trained)}
    rows, width = tensors["token_embd.weight"].shape
    writer = weights.library().GGUFWriter(path, "qwen3")
    writer.add_name("digits in a grid")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(width)
    writer.add_block_count(_count(tensors, "blk."))
    writer.add_feed_forward_length(tensors["blk.0.ffn_up.weight"].shape[0])
    writer.add_head_count(trained.shape.heads)
    writer.add_head_count_kv(trained.shape.heads)
    writer.add_key_length(width // trained.shape.heads)
    writer.add_value_length(width // trained.shape.heads)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_vocab_size(rows)
    _vocabulary(writer, rows)
    weights.add(writer, itertools.starmap(Tensor, tensors.items()), precision)
    weights.write(writer, path)


def vision(trained: Trained, path: Path) -> None:
    """Write tower and projector, in float32."""
    tensors = {k: w for k, w in trained.tensors.items() if k.startswith("vision_tower.") and not k.startswith(_UNUSED)}
    layers = _count(tensors, "vision_tower.encoder.layers.")
    writer = weights.library().GGUFWriter(path, "clip")
    writer.add_clip_has_vision_encoder(value=True)
    writer.add_bool("clip.has_llava_projector", val=True)
    writer.add_clip_projector_type("mlp")
    writer.add_vision_use_gelu(value=True)
    writer.add_vision_image_size(trained.shape.image)
    writer.add_vision_patch_size(trained.shape.patch)
    writer.add_vision_embedding_length(tensors["vision_tower.embeddings.patch_embedding.bias"].shape[0])
    writer.add_vision_feed_forward_length(tensors["vision_tower.encoder.layers.0.mlp.fc1.bias"].shape[0])
    writer.add_vision_projection_dim(trained.tensors["multi_modal_projector.linear_2.bias"].shape[0])
    writer.add_vision_head_count(trained.shape.vision_heads)
    writer.add_vision_attention_layernorm_eps(EPSILON)
    writer.add_vision_block_count(layers)
    writer.add_array("clip.vision.feature_layer", [layers])
    writer.add_vision_image_mean([_GREY] * 3)
    writer.add_vision_image_std([_GREY] * 3)
    names = weights.library().get_tensor_name_map(weights.library().MODEL_ARCH.MMPROJ, layers)
    renamed = {k.replace("vision_tower.", "vision_tower.vision_model.", 1): w for k, w in tensors.items()}
    weights.add(writer, (*_named(renamed, names), *_projector(trained)), Precision.F32)
    weights.write(writer, path)


def spelled(tokens: NDArray[np.int64]) -> str:
    """A row of token numbers as the engine reads and writes them.

    >>> import numpy as np
    >>> spelled(np.array([TOKEN["sum"], TOKEN["all"], TOKEN["?"]]))
    ' sum all ?'
    """
    return "".join(f" {WORDS[int(t)]}" for t in tokens)


def _vocabulary(writer: gguf.GGUFWriter, rows: int) -> None:
    """Words as tokens that are found in plain text; one pair of merges, which are never used but must be there.

    Rows of the embedding beyond the words are tokens that no text contains.
    """
    kinds, spare = weights.library().TokenType, range(len(WORDS), rows)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([*(f" {word}" for word in WORDS), *(f"<spare {n}>" for n in spare)])
    writer.add_token_types([*(kinds.USER_DEFINED for _ in WORDS), *(kinds.UNUSED for _ in spare)])
    writer.add_token_merges(["x y"])
    writer.add_bos_token_id(TOKEN["begin"])
    writer.add_eos_token_id(TOKEN["pad"])
    writer.add_pad_token_id(TOKEN["pad"])
    writer.add_add_bos_token(value=True)
    writer.add_chat_template(TEMPLATE)


def _named(tensors: Mapping[str, NDArray[np.float32]], names: gguf.TensorNameMap) -> tuple[Tensor, ...]:
    found = {name: names.get_name(name, (".weight", ".bias")) for name in tensors}
    unknown = sorted(name for name, known in found.items() if known is None)
    if unknown:
        raise EvidenceError(f"the engine has no place for {len(unknown)} tensors of {WEIGHTS}: {', '.join(unknown[:3])}")
    return tuple(Tensor(str(found[name]), values) for name, values in tensors.items())


def _projector(trained: Trained) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(f"{new}.{kind}", trained.tensors[f"multi_modal_projector.{old}.{kind}"])
        for old, new in _PROJECTOR.items()
        for kind in ("weight", "bias")
    )


def _count(tensors: Mapping[str, object], prefix: str) -> int:
    return len({k.removeprefix(prefix).split(".")[0] for k in tensors if k.startswith(prefix)})
