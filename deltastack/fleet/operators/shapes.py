"""Shapes of the models that operator times ship for, and the tensors of their safetensors files.

Source: the models' own config.json (Qwen3, Qwen3-VL: Apache-2.0; Llama 3.1: Llama 3.1 Community License); only sizes are
carried. Names and order of the tensors follow the published checkpoints: by name, inside one file.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeAlias

from deltastack.errors import UnknownNameError

FILE = Path(__file__).parent / "shapes.json"
BF16_BYTES = 2

Tensors: TypeAlias = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vision:
    """A visual encoder with a merger and one more merger for each deepstack level."""

    depth: int
    hidden_size: int
    intermediate_size: int
    positions: int
    patch_size: int
    temporal_patch_size: int
    channels: int
    merge_size: int
    out_hidden_size: int
    deepstack_levels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """A decoder with grouped keys and values, dense or with experts, and its visual encoder if it has one."""

    layers: int
    hidden_size: int
    intermediate_size: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied_embeddings: bool
    head_norms: bool
    """Whether queries and keys are normalised head by head."""
    experts: int = 0
    """Experts of each layer's feed-forward, ``intermediate_size`` wide each; 0: it is dense."""
    active_experts: int = 0
    """Of them, those that one token meets."""
    vision: Vision | None = None


@lru_cache(maxsize=1)
def _all() -> dict[str, Shapes]:
    found = {}
    for model, sizes in json.loads(FILE.read_text(encoding="utf-8")).items():
        vision = sizes.pop("vision", None)
        found[model] = Shapes(**sizes, vision=Vision(**vision) if vision else None)
    return found


def shapes(model: str) -> Shapes:
    """The sizes of ``model``.

    Raises:
        UnknownNameError: Nobody wrote them down; the message lists what there is.
    """
    if model not in _all():
        raise UnknownNameError(f"no shapes of model '{model}'; there are: {', '.join(_all())}")
    return _all()[model]


@cache
def tensor_bytes(model: str) -> tuple[int, ...]:
    """Size [bytes] of every tensor of the bf16 checkpoint, in the order of its names.

    Raises:
        UnknownNameError: As ``shapes``.
    """
    tensors = decoder(shapes(model)) | encoder(shapes(model))
    return tuple(BF16_BYTES * math.prod(tensors[name]) for name in sorted(tensors))


def decoder(s: Shapes) -> Tensors:
    """Tensors of the language model by name."""
    h, wide, q, kv = s.hidden_size, s.intermediate_size, s.heads * s.head_dim, s.kv_heads * s.head_dim
    block: Tensors = {
        "input_layernorm": (h,),
        "post_attention_layernorm": (h,),
        "self_attn.q_proj": (q, h),
        "self_attn.k_proj": (kv, h),
        "self_attn.v_proj": (kv, h),
        "self_attn.o_proj": (h, q),
    } | _feed_forward(s, h, wide)
    norms: Tensors = {"self_attn.q_norm": (s.head_dim,), "self_attn.k_norm": (s.head_dim,)} if s.head_norms else {}
    ends: Tensors = {"model.embed_tokens": (s.vocabulary, h), "model.norm": (h,)}
    head: Tensors = {} if s.tied_embeddings else {"lm_head": (s.vocabulary, h)}
    return ends | head | {f"model.layers.{i}.{name}": shape for i in range(s.layers) for name, shape in (block | norms).items()}


def _feed_forward(s: Shapes, h: int, wide: int) -> Tensors:
    """Tensors of one layer's feed-forward; experts are stored as one tensor."""
    if s.experts:
        return {
            "mlp.gate": (s.experts, h),
            "mlp.experts.gate_up_proj": (s.experts, h, 2 * wide),
            "mlp.experts.down_proj": (s.experts, wide, h),
        }
    return {"mlp.gate_proj": (wide, h), "mlp.up_proj": (wide, h), "mlp.down_proj": (h, wide)}


def encoder(s: Shapes) -> Tensors:
    """Tensors of the visual encoder by name; none for a text-only model."""
    if s.vision is None:
        return {}
    v = s.vision
    merged = v.hidden_size * v.merge_size**2
    block = (
        _affine("attn.qkv", 3 * v.hidden_size, v.hidden_size)
        | _affine("attn.proj", v.hidden_size, v.hidden_size)
        | _affine("mlp.linear_fc1", v.intermediate_size, v.hidden_size)
        | _affine("mlp.linear_fc2", v.hidden_size, v.intermediate_size)
        | {f"norm{n}.{part}": (v.hidden_size,) for n in (1, 2) for part in ("weight", "bias")}
    )
    found: Tensors = {f"visual.blocks.{i}.{name}": shape for i in range(v.depth) for name, shape in block.items()}
    for place, norm in [("merger", v.hidden_size), *((f"deepstack_merger_list.{i}", merged) for i in range(v.deepstack_levels))]:
        parts = (
            _affine("linear_fc1", merged, merged)
            | _affine("linear_fc2", v.out_hidden_size, merged)
            | {f"norm.{part}": (norm,) for part in ("weight", "bias")}
        )
        found |= {f"visual.{place}.{name}": shape for name, shape in parts.items()}
    patch = (v.hidden_size, v.channels, v.temporal_patch_size, v.patch_size, v.patch_size)
    return found | {
        "visual.patch_embed.proj.weight": patch,
        "visual.patch_embed.proj.bias": (v.hidden_size,),
        "visual.pos_embed.weight": (v.positions, v.hidden_size),
    }


def _affine(name: str, rows: int, columns: int) -> Tensors:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
