"""Sizes of models by name, from their published configs; ``tiny`` is for tests.

Source: config.json of each model as published on its model page (Qwen3-VL: text_config and vision_config; LLaVA-1.5: text_config
and vision_config of llava-1.5-7b-hf; OLMoE-1B-7B-0924, here with the encoder of LLaVA-1.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from deltastack.errors import UnknownNameError


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionShape:
    """An encoder: patches in, ``merge`` of them to one visual token out."""

    hidden: int
    layers: int
    heads: int
    ffn: int
    patch_byte: int
    """Numbers in one patch: channels x frames x height x width."""
    merge: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A decoder with its encoder."""

    name: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocabulary: int
    vision: VisionShape
    experts: int = 0
    """Of a mixture in each layer; 0: a plain feed-forward. ``ffn`` is then one expert's."""
    active: int = 0
    """Experts that a token meets."""

    @property
    def linear_parameters(self) -> int:
        """Weights of the decoder's products and of the head."""
        return self._parameters(max(self.experts, 1))

    @property
    def active_parameters(self) -> int:
        """Those of them that one token uses."""
        return self._parameters(max(self.active, 1))

    def read_parameters(self, tokens: int) -> int:
        """Those of them that a decode step of so many tokens reads, if every expert is as likely."""
        if not self.experts:
            return self.linear_parameters
        return self._parameters(self.experts * (1 - (1 - self.active / self.experts) ** tokens))

    def _parameters(self, experts: float) -> int:
        """Weights with so many experts in each layer."""
        attention = self.hidden * (self.heads + 2 * self.kv_heads) * self.head_dim + self.heads * self.head_dim * self.hidden
        routed = self.hidden * self.experts
        each = attention + routed + round(experts * 3 * self.hidden * self.ffn)
        return self.layers * each + self.vocabulary * self.hidden

    def kv_byte(self, tokens: int, number_byte: int = 2) -> int:
        """Keys and values of so many tokens over all layers [byte]."""
        return 2 * self.layers * self.kv_heads * self.head_dim * tokens * number_byte


def _qwen3_vl(name: str, text: tuple[int, int, int, int], vision: tuple[int, int, int]) -> Shape:
    hidden, layers, heads, ffn = text
    wide, deep, inner = vision
    seen = VisionShape(hidden=wide, layers=deep, heads=16, ffn=inner, patch_byte=3 * 2 * 16 * 16, merge=4)
    return Shape(
        name=name, hidden=hidden, layers=layers, heads=heads, kv_heads=8, head_dim=128, ffn=ffn, vocabulary=151936, vision=seen
    )


_CLIP = VisionShape(hidden=1024, layers=24, heads=16, ffn=4096, patch_byte=3 * 14 * 14, merge=1)
_LLAVA = Shape(
    name="llava_1_5_7b", hidden=4096, layers=32, heads=32, kv_heads=32, head_dim=128, ffn=11008, vocabulary=32064, vision=_CLIP
)
_TINY = Shape(
    name="tiny",
    hidden=64,
    layers=4,
    heads=4,
    kv_heads=2,
    head_dim=16,
    ffn=128,
    vocabulary=128,
    vision=VisionShape(hidden=32, layers=2, heads=2, ffn=64, patch_byte=48, merge=4),
)
_OLMOE = Shape(
    name="olmoe_1b_7b",
    hidden=2048,
    layers=16,
    heads=16,
    kv_heads=16,
    head_dim=128,
    ffn=1024,
    vocabulary=50304,
    vision=_CLIP,
    experts=64,
    active=8,
)
_TINY_EXPERTS = replace(_TINY, name="tiny_experts", ffn=32, experts=8, active=2)
SHAPES = {
    s.name: s
    for s in (
        _qwen3_vl("qwen3_vl_2b", (2048, 28, 16, 6144), (1024, 24, 4096)),
        _qwen3_vl("qwen3_vl_4b", (2560, 36, 32, 9728), (1024, 24, 4096)),
        _qwen3_vl("qwen3_vl_8b", (4096, 36, 32, 12288), (1152, 27, 4304)),
        _LLAVA,
        _OLMOE,
        _TINY,
        _TINY_EXPERTS,
    )
}


def shape(name: str) -> Shape:
    """The sizes of a model.

    Raises:
        UnknownNameError: No such shape; the message lists what there is.
    """
    if name not in SHAPES:
        raise UnknownNameError(f"no shape '{name}'; there are: {', '.join(SHAPES)}")
    return SHAPES[name]
